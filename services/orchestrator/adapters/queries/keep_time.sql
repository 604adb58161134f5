insert into record_time (at, boot_id, monotonic_s)
values ($1, $2, $3)
on conflict (is_only) do update
set at = excluded.at,
    boot_id = excluded.boot_id,
    monotonic_s = excluded.monotonic_s
where record_time.at <= excluded.at
