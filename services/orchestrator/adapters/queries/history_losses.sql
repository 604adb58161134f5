select since, until from history_lost
where until >= $1 and since <= $2
order by since
limit 1000
