select said.session_id, said.seq
from unnest($1::text[], $2::bigint[], $3::bytea[]) as said (session_id, seq, digest)
join events using (session_id, seq)
where sha256(convert_to(events.body::text, 'UTF8')) <> said.digest
