delete from package_pieces
where at < now() - interval '1 day' and digest not in (select digest from packages) and digest not in (select wheel from package_wheels)
