select channel, max(sent_at) as at from deliveries where state = 'sent' group by channel
