-- The record's time, and the monotonic clock that it was read from: one row. See core/record_time.py.
create table record_time (
    is_only     boolean          primary key default true check (is_only),
    at          timestamptz      not null,
    boot_id     text             not null,
    monotonic_s double precision not null
);
