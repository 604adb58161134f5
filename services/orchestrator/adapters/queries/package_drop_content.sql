delete from packages where digest = $1 and not exists (select from package_versions where digest = $1) returning digest
