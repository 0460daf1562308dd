"""Evaluations: scenarios in YAML, played against an agent, judged by code and, where asked, by a model."""
