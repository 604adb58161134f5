select number, feed, body from notes order by number limit $1
