-- Documents are searched as text: this is asked when a version is to go, and seldom.
select 'engine ' || instance_id as used_by from engines left join sessions using (instance_id, session_id)
where removed_at is null and exists (
    select from unnest($1::text[]) as mark
    where strpos(config::text, mark) > 0 or strpos(coalesce(configured::text, ''), mark) > 0 or strpos(coalesce(spec::text, ''), mark) > 0
)
union all
select 'backtest ' || backtest_id from backtests
where exists (select from unnest($1::text[]) as mark where strpos(work::text, mark) > 0)
limit 20
