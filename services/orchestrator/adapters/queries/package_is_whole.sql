select count(*) = max(count) from package_pieces where digest = $1
