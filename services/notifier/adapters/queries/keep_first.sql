insert into kept (kind, name, body) values ($1, $2, $3) on conflict (kind, name) do nothing
