"""Regulation: instruments with dated, revisable values, and their three views over a scenario's horizon."""
