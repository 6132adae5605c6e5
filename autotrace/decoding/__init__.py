"""From bytes of a wire format to span records. One module per format; nothing here knows about sockets."""
