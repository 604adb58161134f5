"""What people read: tables, plots, formats, event lines, progress, errors with their remedies."""
