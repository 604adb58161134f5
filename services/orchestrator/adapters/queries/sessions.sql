select * from session_facts where instance_id = $1 order by generation desc limit $2
