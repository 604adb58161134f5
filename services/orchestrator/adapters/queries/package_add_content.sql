insert into packages (digest, size_bytes, files, findings, notes) values ($1, $2, $3, $4, $5) on conflict (digest) do nothing
