select count(*) as total
from backtests
where study_id is not distinct from $1 and ($2::text is null or status = $2)
