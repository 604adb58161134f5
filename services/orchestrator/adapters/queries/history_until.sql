-- Up to where a step was made, and where there is something to make it of.
select
    (select until from history_rolled where step = $1) as until,
    (select min(at) from {source}) as first
