"""The catalog's data sets: looked at and changed by the host that has them."""
