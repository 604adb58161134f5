insert into notes (feed, body) select feed, body from unnest($1::text[], $2::text[]) with ordinality as given (feed, body, place) order by place
