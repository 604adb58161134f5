"""The library of templates."""
