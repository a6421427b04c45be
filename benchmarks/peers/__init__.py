"""Other simulators, each timed by a script of its own that its own environment runs, and ours on the same problems."""
