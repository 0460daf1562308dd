"""Make figures, reports, explanations and exports from the journal, and find lines in the log files."""
