-- Only what its statements do. To the audit it adds by audit_add, and deletes from it by audit_prune: both know their limits.
do $$
declare
    one record;
    function regprocedure;
begin
    for one in
        select relname, relkind, relname in ('migrations', 'audit', 'audit_head', 'audit_retention', 'events_pruned', 'retention_log') as is_read_only from pg_class
        where relowner = 'flotilla_owner'::regrole and relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v')
    loop
        execute format('revoke all on %I from public, flotilla_orchestrator', one.relname);
        execute format('grant select on %I to flotilla_orchestrator', one.relname);
        if one.relkind in ('r', 'p') and not one.is_read_only then
            execute format('grant insert, update on %I to flotilla_orchestrator', one.relname);
        end if;
        if one.relname in ('commands', 'result_parts', 'packages', 'package_pieces', 'package_removed', 'package_versions') then
            execute format('grant delete on %I to flotilla_orchestrator', one.relname);
        end if;
    end loop;
    for function in
        select oid::regprocedure from pg_proc
        where proowner = 'flotilla_owner'::regrole and pronamespace = current_schema()::regnamespace
    loop
        execute format('grant execute on function %s to flotilla_orchestrator', function);
    end loop;
end $$
