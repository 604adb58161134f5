"""`python -m flotilla.engine_sidecar.fork.zygote`: the process that engines and trials are forked from."""
