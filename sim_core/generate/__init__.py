"""Scenario generation: recipes drawn around the real timeline of law, and the paths that follow from them."""
