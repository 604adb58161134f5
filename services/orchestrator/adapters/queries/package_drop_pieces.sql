delete from package_pieces
where digest = $1 and not exists (select from packages where digest = $1) and not exists (select from package_wheels where wheel = $1)
