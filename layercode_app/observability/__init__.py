"""Logs, spans, error reports and metrics."""
