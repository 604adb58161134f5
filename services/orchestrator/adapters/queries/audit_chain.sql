select
    head.seq as head_seq, head.hash as head_hash, (select min(seq) from audit where seq > head.seq) as stray,
    retention.seq as pruned_seq, retention.hash as pruned_hash, retention.at as pruned_at, retention.rule as pruned_rule, entry.*
from (select) as always
left join audit_head as head on true
left join audit_retention as retention on true
left join lateral (
    select
        seq, audit_at(at) as at, request_id, subject, about, host, credential, caller, origin, via, body::text as body, code, message,
        prev, hash
    from audit
    where seq > $1 and seq <= head.seq
    order by seq
    limit $2
) as entry on true
order by entry.seq
