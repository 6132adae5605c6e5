"""The local trace store: one SQLite file per home directory, shared by all processes of a user."""
