"""Adopting agents that exist."""
