-- {way} and {beyond} are the order: `desc` and `<`, or `asc` and `>`.
select instance_id, session_id, at, seq, account_id, venue, account_type, base_currency, balances, ts_event, is_latest
from ledger_accounts as told
where
    ($1::text[] is null or instance_id = any($1))
    and ($2::text is null or session_id = $2)
    and ($3::text[] is null or venue = any($3))
    and ($4::timestamptz is null or at >= $4)
    and ($5::timestamptz is null or at < $5)
    and ($6::timestamptz is null or (at, session_id, seq) {beyond} ($6, $7::text, $8::bigint))
    and (not $10::boolean or (is_latest and session_id = (select session_id from engines where engines.instance_id = told.instance_id)))
order by at {way}, session_id {way}, seq {way}
limit $9
