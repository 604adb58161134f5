insert into package_versions (name, version, digest, is_draft, pushed_at, pushed_by) values ($1, $2, $3, $4, $5, $6)
on conflict (name, version) do nothing returning name
