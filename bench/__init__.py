"""The benchmark: ropeway against the floor (the same system calls in plain Python) and against peers, in one run, as ratios."""
