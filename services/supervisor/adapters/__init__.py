"""The runtimes that engines run in. Only this package imports the docker SDK."""
