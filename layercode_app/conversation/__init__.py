"""Stage 2, event and history to turn."""
