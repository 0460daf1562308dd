"""The journal: what is kept of every turn, the stores that keep it, and the ways to read and delete it."""
