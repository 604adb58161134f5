select count, data from package_pieces where digest = $1 and index = $2
