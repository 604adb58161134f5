with gone as (delete from package_versions where name = $1 and version = $2 returning name, version, digest, is_draft)
insert into package_removed (name, version, digest, templates) select name, version, digest, $3 from gone where not is_draft
