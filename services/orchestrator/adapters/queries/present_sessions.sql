select session_facts.*
from session_facts join engines on engines.session_id = session_facts.session_id
where $1::text is null or engines.instance_id = $1
