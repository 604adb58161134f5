do $$
begin
    if not exists (select from pg_roles where rolname = 'flotilla_owner') then
        create role flotilla_owner nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'flotilla_orchestrator') then
        create role flotilla_orchestrator login;
    end if;
    -- Whoever created a role may still not act as it.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant flotilla_owner to %I', current_user);
    end if;
    -- Temporary objects of its own would be found before ours.
    execute format('revoke create, temporary on database %I from public', current_database());
    execute format('grant connect on database %I to flotilla_orchestrator', current_database());
    execute format('revoke create on schema %I from public', current_schema());
    execute format('grant usage, create on schema %I to flotilla_owner', current_schema());
    execute format('grant usage on schema %I to flotilla_orchestrator', current_schema());
end $$
