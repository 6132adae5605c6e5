"""The embedded backend: a collector for all wire formats, query APIs and a viewer on the local store."""
