"""Read the journal and the log files: figures, reports, explanations, exports, log lines."""
