select study_id, config, choices, windows, status, version, created_at, ended_at, why_ended
from studies
where ($1::text is null or study_id = $1) and (not $2 or status = 'pending')
    and ($3::timestamptz is null or (created_at, study_id) < ($3, $4))
order by created_at desc, study_id desc
limit $5
