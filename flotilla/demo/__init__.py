"""`flotilla demo`: real data traded in a real engine, and a report of what happened."""
