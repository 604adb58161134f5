insert into history_rolled (step, until) values ($1, $2)
on conflict (step) do update set until = excluded.until
