select audit_prune($1, 10000)
