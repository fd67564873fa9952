"""Repeats: equal and nearly equal documents, and documents that hold a benchmark's items."""
