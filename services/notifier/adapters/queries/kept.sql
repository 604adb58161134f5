select name, body from kept where kind = $1 order by name
