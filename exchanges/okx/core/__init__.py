"""What the exchange is and decides. No clock, no sockets: moments are arguments, and what is to be sent is returned."""
