"""Published datasets, read from their publishers' own files."""
