"""Stage 2, from event to turn: admit an event, load its history, and run and save the turn."""
