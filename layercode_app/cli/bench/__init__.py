"""`bench`: measure the time to first speech and the throughput of webhooks."""
