"""The commands of the CLI, one module per command or two; loaded when they are used."""
