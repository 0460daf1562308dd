"""What the journal tells afterwards: figures, reports, explanations, exports; and the log files, read back."""
