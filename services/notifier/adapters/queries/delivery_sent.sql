update deliveries set state = 'sent', sent_at = $2 where delivery_id = $1
