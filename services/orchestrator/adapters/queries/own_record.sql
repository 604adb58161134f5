-- What earlier releases, or an orchestrator with the rights to, made as somebody else. Named one by one: others may have theirs here.
do $$
declare
    name text;
    function regprocedure;
begin
    foreach name in array (
        select coalesce(array_agg(relname::text), '{}') from pg_class
        where relnamespace = current_schema()::regnamespace and relkind = 'r' and relname ~ '^history_(seconds|minutes)_[0-9]+$'
    ) || array[
        'account_leases', 'audit', 'audit_head', 'audit_numbers', 'audit_retention', 'backtests', 'commands', 'engines', 'events', 'events_pruned',
        'history_by_hours', 'history_by_minutes', 'history_hours', 'history_lost', 'history_minutes', 'history_rolled', 'history_seconds', 'ledger_accounts', 'ledger_fills', 'ledger_orders', 'ledger_positions', 'migrations', 'package_pieces', 'package_removed', 'package_versions', 'package_wheels', 'packages', 'record_time', 'refusals', 'result_parts', 'results', 'retention_log', 'session_facts', 'sessions', 'studies'
    ]
    loop
        if to_regclass(name) is not null then
            execute format('alter table %I owner to flotilla_owner', name);
        end if;
    end loop;
    for function in
        select oid::regprocedure from pg_proc
        where pronamespace = current_schema()::regnamespace and (
            proname in ('audit_add', 'audit_at', 'audit_prune', 'audit_text') or proname like 'ledger\_%' or proname in ('history_drop', 'history_prepare') or proname like 'retention\_%'
        )
    loop
        execute format('alter function %s owner to flotilla_owner', function);
    end loop;
end $$
