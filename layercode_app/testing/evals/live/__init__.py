"""Simulated calls to a running agent, through the emulator and in real time."""
