"""Which traces are kept: one module per way to decide."""
