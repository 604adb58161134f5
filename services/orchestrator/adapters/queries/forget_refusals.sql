delete from refusals
where number in (select number from refusals where created_at < $1 order by number limit 10000)
