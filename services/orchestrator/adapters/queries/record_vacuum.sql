vacuum (skip_locked) events
