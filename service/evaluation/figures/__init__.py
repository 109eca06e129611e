"""What the page of an evaluation shows beside its numbers: computed, kept in a file, read again."""
