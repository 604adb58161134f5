"""Maps REST onto bus calls and feeds; keeps nothing but subscriptions."""
