"""`replay`: replay a recorded call against the current agent."""
