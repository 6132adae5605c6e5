"""The hot path: span, tracer, context, ids, limits."""
