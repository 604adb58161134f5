insert into package_versions (name, version, digest, is_draft, pushed_at, pushed_by)
select $1, $2, $3, $4, $5, $6 where not exists (select from package_removed where name = $1 and version = $2 and digest <> $3)
on conflict (name, version) do nothing returning name
