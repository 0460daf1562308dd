"""`platform`: manage agents, sessions, recordings and calls at the platform."""
