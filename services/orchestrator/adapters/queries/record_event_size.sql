-- What an event takes, with its row's head, its other columns and its place in the index: of some of them.
select coalesce(avg(pg_column_size(body) + 200), 0)::double precision as bytes
from (select body from events tablesample system (2) limit 2000) as some_of_them
