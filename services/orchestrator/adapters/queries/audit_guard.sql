select case
    when (select rolsuper from pg_roles where rolname = current_user) then 'as a superuser'
    when pg_has_role((select datdba from pg_database where datname = current_database()), 'member') then 'as the owner of the database'
    when exists (
        select from pg_class
        where oid in ('audit'::regclass, 'audit_head'::regclass, 'audit_retention'::regclass) and pg_has_role(relowner, 'member')
    ) then 'as the owner of the audit'
    when exists (
        select from unnest(array['audit', 'audit_head', 'audit_retention']) as name
        where has_table_privilege(name, 'insert, update, delete, truncate, trigger')
    ) then 'with a login that may change the audit''s rows'
end as problem
