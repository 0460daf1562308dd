"""Load tests of webhooks: many callers hold conversations at once, and each turn's latency is measured."""
