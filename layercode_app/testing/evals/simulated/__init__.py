"""Simulated callers: a script or a model chooses the words, a seed chooses how the caller behaves on the line."""
