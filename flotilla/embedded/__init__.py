"""Servers that `flotilla up` and the tests run as child processes, from wheels: nothing has to be installed."""
