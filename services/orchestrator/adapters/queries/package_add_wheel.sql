insert into package_wheels (digest, wheel, name, version, file, size_bytes, unpacked_bytes) values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
