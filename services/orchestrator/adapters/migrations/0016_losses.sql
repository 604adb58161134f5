-- What the loss limits of an engine keep from one session to the next; null where nothing was ever kept.

alter table engines add column losses json;
