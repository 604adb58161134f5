-- What keeps an engine's strategies from trading, from one session to the next; null where nobody ever braked it.

alter table engines add column brake json;
