"""What traces say when one computes: pure functions over spans and over rows of the store."""
