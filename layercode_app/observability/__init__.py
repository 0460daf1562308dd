"""Logs, spans, errors and metrics. Imports no stage, so every stage may use it."""
