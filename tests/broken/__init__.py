"""Small webhook servers with one fault each, planted from the protocol alone, for `check` to find."""
