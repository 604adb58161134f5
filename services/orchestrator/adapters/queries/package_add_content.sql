insert into packages (digest, size_bytes, files, findings, notes, components) values ($1, $2, $3, $4, $5, $6) on conflict (digest) do nothing
