"""A worker: a sidecar that trades nothing, but takes trials from the queue and runs each in a process of its own."""
