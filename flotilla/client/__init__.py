"""What people import: the typed client, asynchronous and synchronous, and what it watches."""
