select wheel from package_wheels where digest = $1
