"""How code of ours meets code of theirs: hooks, wrappers, the guard around them, and undo."""
