"""The gateway without its sockets: contracts, accounts, matching, and every message that a client reads."""
