delete from package_removed where name = $1 and version = $2
