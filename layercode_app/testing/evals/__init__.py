"""Evaluations: play YAML scenarios against an agent, and judge them by code and optionally by a model."""
