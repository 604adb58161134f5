-- What earlier releases, or an orchestrator with the rights to, made as somebody else. Named one by one: others may have theirs here.
do $$
declare
    name text;
    function regprocedure;
begin
    foreach name in array array[
        'account_leases', 'audit', 'audit_head', 'audit_numbers', 'audit_retention', 'backtests', 'commands', 'engines', 'events',
        'migrations', 'package_pieces', 'package_removed', 'package_versions', 'package_wheels', 'packages', 'record_time', 'refusals', 'result_parts', 'results', 'session_facts', 'sessions', 'studies'
    ]
    loop
        if to_regclass(name) is not null then
            execute format('alter table %I owner to flotilla_owner', name);
        end if;
    end loop;
    for function in
        select oid::regprocedure from pg_proc
        where pronamespace = current_schema()::regnamespace and proname in ('audit_add', 'audit_at', 'audit_prune', 'audit_text')
    loop
        execute format('alter function %s owner to flotilla_owner', function);
    end loop;
end $$
