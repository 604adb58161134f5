"""What keeps a strategy's process from being its sidecar: hidden memory, Landlock, a filter of system calls. See ADR 25."""
