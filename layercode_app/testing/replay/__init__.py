"""Replay a recorded call against today's agent, compare it turn by turn, or turn it into an eval scenario."""
