insert into studies (study_id, config, choices, windows, status, version, created_at, ended_at, why_ended)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing
returning study_id
