select name, version, digest, is_draft, pushed_at, pushed_by, size_bytes, files, findings, notes, components, coalesce((
    select json_agg(json_build_object(
        'name', wheel.name, 'version', wheel.version, 'file', wheel.file, 'digest', wheel.wheel, 'size_bytes', wheel.size_bytes,
        'unpacked_bytes', wheel.unpacked_bytes
    ) order by wheel.name) from package_wheels as wheel where wheel.digest = packages.digest
), '[]') as wheels
from package_versions join packages using (digest) order by number
