"""Mask secrets and personal data in logs, spans, error reports and exported calls."""
