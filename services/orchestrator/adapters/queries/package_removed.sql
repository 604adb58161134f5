select name, version, digest, templates from package_removed order by removed_at, name, version
