"""One module per library, named after it, and the families they share beside them."""
