update studies
set status = $2, version = $3, ended_at = $4, why_ended = $5
where study_id = $1 and version = $3 - 1
returning study_id
