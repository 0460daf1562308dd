"""`sessions`: list, show, review, group, export and delete recorded conversations."""
