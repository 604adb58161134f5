"""An Interactive Brokers gateway: the text protocol of server version 176."""
