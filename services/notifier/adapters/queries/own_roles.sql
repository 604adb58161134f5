do $$
begin
    if not exists (select from pg_roles where rolname = 'flotilla_owner') then
        create role flotilla_owner nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'flotilla_notifier') then
        create role flotilla_notifier login;
    end if;
    -- Whoever created a role may still not act as it.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant flotilla_owner to %I', current_user);
    end if;
    -- Temporary objects of its own would be found before ours.
    execute format('revoke create, temporary on database %I from public', current_database());
    execute format('grant connect on database %I to flotilla_notifier', current_database());
    create schema if not exists notifier;
    alter schema notifier owner to flotilla_owner;
    revoke all on schema notifier from public;
    grant usage on schema notifier to flotilla_notifier;
end $$
