select body from deliveries where state = 'waiting' order by created_at, delivery_id
