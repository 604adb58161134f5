"""The processes beside the sidecar: children, pipes, zygote, what they use."""
