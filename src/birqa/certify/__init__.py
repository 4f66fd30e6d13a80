"""Scores with a certified interval: median smoothing."""
