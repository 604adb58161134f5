delete from kept where kind = $1 and name <> all($2)
