"""Privacy: one masking for every log, span, error report and exported call."""
