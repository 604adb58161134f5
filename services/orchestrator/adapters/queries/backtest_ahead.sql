select
    count(*) filter (where status = 'pending' and queued > 0 and study_id is not null) as ahead,
    count(*) as open,
    max(updated_at) filter (where status = 'pending') as newest
from backtests
where status in ('pending', 'running')
