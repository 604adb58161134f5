select spec from sessions where session_id = $1
