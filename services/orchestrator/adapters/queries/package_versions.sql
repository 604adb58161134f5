select name, version, digest, is_draft, pushed_at, pushed_by, size_bytes, files, findings, notes, components
from package_versions join packages using (digest) order by number
