"""`new`: create a project."""
