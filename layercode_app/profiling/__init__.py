"""Where the time and the memory of an agent's turns go."""
