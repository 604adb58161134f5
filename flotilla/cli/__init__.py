"""The command line: its options, and one module for each group of commands."""
