"""`journal`: show, copy, export and check the journal."""
