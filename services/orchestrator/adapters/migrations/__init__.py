"""The steps of the record's schema, in the order of their numbers; one that was released never changes."""
