with completed as (
    update commands set reply = $2
    where request_id = $1 and reply ->> 'is_taken' is null
    returning reply
)
select reply from completed
union all
select reply from commands where request_id = $1 and not exists (select from completed)
