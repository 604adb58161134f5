"""What was, and for how long it is kept: ledgers, measures of every second in ever coarser steps, and what is deleted when."""
