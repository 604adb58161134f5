insert into history_lost (since, until, rows) values ($1, $2, $3)
