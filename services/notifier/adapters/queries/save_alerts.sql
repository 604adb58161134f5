insert into alerts (alert_id, rule, about, labels, is_open, opened_at, changed_at, body)
select * from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[], $6::timestamptz[], $7::timestamptz[], $8::text[])
on conflict (alert_id) do update set is_open = excluded.is_open, changed_at = excluded.changed_at, labels = excluded.labels, body = excluded.body
