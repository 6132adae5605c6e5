"""How a trace crosses process boundaries: one module per wire format, and the ways they are put together."""
