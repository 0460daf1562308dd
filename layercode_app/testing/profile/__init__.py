"""Profile the time and memory of an agent's turns."""
