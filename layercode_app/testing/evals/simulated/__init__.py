"""Simulated callers: a script or a model chooses the words, and a seed chooses how the caller behaves on the line."""
