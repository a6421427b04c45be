"""Measurements of the model and of the program; each writes build/bench/NAME.json."""
