select body -> 'data' ->> 'code' = 'impaired' as is_open
from events
where session_id = $1 and kind = 'alert' and body -> 'data' ->> 'code' in ('impaired', 'trading_again')
order by seq desc
limit 1
