-- What packages have beside strategies; content from before has none that can be chosen.

alter table packages add column components json not null default '[]';
