"""Jobs: work that outlives its turn. Each is enqueued in the journal, leased by a worker, and retried if it fails."""
