do $$
begin
    grant select, insert, update, delete on all tables in schema notifier to flotilla_notifier;
    revoke insert, update, delete on notifier.migrations from flotilla_notifier;
end $$
