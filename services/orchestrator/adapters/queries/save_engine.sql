insert into engines (
    instance_id, desired, config, generation, version, session_id, pending, created_at, updated_at, configured, removed_at,
    restart_policy, restarts, restart_at, brake, losses
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
on conflict (instance_id) do update
set desired = excluded.desired,
    config = excluded.config,
    generation = excluded.generation,
    version = excluded.version,
    session_id = excluded.session_id,
    pending = excluded.pending,
    updated_at = excluded.updated_at,
    configured = excluded.configured,
    removed_at = excluded.removed_at,
    restart_policy = excluded.restart_policy,
    restarts = excluded.restarts,
    restart_at = excluded.restart_at,
    brake = excluded.brake,
    losses = excluded.losses
where engines.version = excluded.version - 1
returning version
