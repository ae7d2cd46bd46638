"""From the event log to the backends: one dispatcher per backend."""
