-- A session that is `completed` has ended too: another may follow it.

drop index one_active_session;

create unique index one_active_session on sessions (instance_id) where state not in ('completed', 'stopped', 'failed');
