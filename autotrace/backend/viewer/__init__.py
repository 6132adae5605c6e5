"""What the viewer in the browser asks for: its pages, and its own API under /api/viewer."""
