-- Counted as an archive is put together: a stray piece of another count is no part of it.
select count(*) = max(count) from package_pieces
where digest = $1 and index < count and count = (select first.count from package_pieces as first where first.digest = $1 and first.index = 0)
