"""One file per figure: each prints a ratio against the raw thing, measured in the same run, interleaved."""
