"""What the supervisor decides, without touching a runtime."""
