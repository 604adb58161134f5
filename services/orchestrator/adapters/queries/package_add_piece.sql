insert into package_pieces (digest, index, count, data)
select $1, $2, $3, $4 where not exists (select from packages where digest = $1) and not exists (select from package_wheels where wheel = $1)
on conflict (digest, index) do update set count = excluded.count, data = excluded.data, at = now()
