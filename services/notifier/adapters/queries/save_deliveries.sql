insert into deliveries (delivery_id, channel, state, created_at, body)
select delivery_id, channel, 'waiting', created_at, body from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as given (delivery_id, channel, created_at, body)
on conflict (delivery_id) do update set body = excluded.body
