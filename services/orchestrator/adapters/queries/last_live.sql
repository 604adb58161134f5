-- By the beginning of the document as it is written: taken apart, one with a null character in a strategy's config would be refused.
select spec from sessions
where instance_id = $1 and trading_at is not null
  and spec::text ~ '^\{"instance_id":"[^"]*","session_id":"[^"]*","generation":\d+,"engine_type":"live","trading_mode":"live"'
order by generation desc limit 1
