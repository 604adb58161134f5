"""NATS, PostgreSQL and Redis from wheels, each as a child process."""
