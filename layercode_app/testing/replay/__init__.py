"""Replay: a recorded call against today's agent, what differs turn by turn, and the call as an eval scenario."""
