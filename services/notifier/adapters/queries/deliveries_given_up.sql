update deliveries set state = 'given_up' where delivery_id = any($1)
