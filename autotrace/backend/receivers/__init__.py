"""What listens: one module per protocol, which answers senders as their protocol demands."""
