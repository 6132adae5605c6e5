"""Finds traces by what their spans carry, among a million: an index beside the store, and its use."""
