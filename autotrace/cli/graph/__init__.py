"""`autotrace graph`: who calls whom, drawn for a terminal or for Graphviz."""
