"""`sessions`: list, show, export and delete recorded conversations."""
