select
    instance_id, desired, config, generation, version, pending, created_at, updated_at, configured, removed_at,
    restart_policy, restarts, restart_at, brake, losses
from engines
where $1::text is null or instance_id = $1
