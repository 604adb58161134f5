insert into kept (kind, name, body) select $1, name, body from unnest($2::text[], $3::text[]) as given (name, body)
on conflict (kind, name) do update set body = excluded.body
