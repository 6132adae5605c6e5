"""From finished spans to a backend: the pipeline, and one module per wire format."""
