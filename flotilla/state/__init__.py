"""The state folder and all that is kept in it, this program's exit codes, and its errors."""
