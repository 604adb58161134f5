select body from alerts
where ($1 or is_open) and ($2::text is null or about = $2) and ($3::text is null or rule = $3) and labels @> $4::jsonb
order by opened_at desc, alert_id limit $5
