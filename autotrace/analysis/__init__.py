"""What traces say when one computes: figures over spans, and `query_traces` and its like for scripts."""

from autotrace.analysis.queries import (
    SpanTime,
    Trace,
    dependencies,
    find_slow_traces,
    get_trace,
    query_traces,
)

__all__ = ["SpanTime", "Trace", "dependencies", "find_slow_traces", "get_trace", "query_traces"]
