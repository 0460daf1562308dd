"""Stage 2: turn an event and the history into a turn."""
