-- {way} and {beyond} are the order: `desc` and `<`, or `asc` and `>`.
select
    instance_id, session_id, at, seq, last_at, last_seq, is_open, is_continued, venue, instrument_id, strategy_id, position_id,
    event, side, quantity, signed_qty, avg_px_open, avg_px_close, currency, realized_pnl, ts_event, ts_opened, ts_closed
from ledger_positions as told
where
    ($1::text[] is null or instance_id = any($1))
    and ($2::text is null or session_id = $2)
    and ($3::text[] is null or venue = any($3))
    and ($4::timestamptz is null or at >= $4)
    and ($5::timestamptz is null or at < $5)
    and ($6::timestamptz is null or (at, session_id, seq) {beyond} ($6, $7::text, $8::bigint))
    and ($10::text[] is null or instrument_id = any($10))
    and ($11::text[] is null or strategy_id = any($11))
    and ($12::text[] is null or side = any($12))
    and (not $13::boolean or (is_open and session_id = (select session_id from engines where engines.instance_id = told.instance_id)))
order by at {way}, session_id {way}, seq {way}
limit $9
