"""The resources of engines: handlers, views and replies side by side."""
