"""`new`: make a project."""
