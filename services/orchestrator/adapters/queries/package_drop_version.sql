delete from package_versions where name = $1 and version = $2
