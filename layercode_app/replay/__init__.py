"""Run a recorded call again: fork it, replay it, or turn it into an eval scenario."""
