"""`bench`: measure the throughput of webhooks and their time to first speech."""
