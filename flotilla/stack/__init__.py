"""The stack that `flotilla up` runs on one machine."""
