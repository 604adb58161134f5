insert into events (session_id, seq, instance_id, kind, at, body)
select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::json[])
on conflict (session_id, seq) do nothing
