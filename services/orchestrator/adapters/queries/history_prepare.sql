select history_prepare($1)
