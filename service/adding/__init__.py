"""Models of the user's own: a file is asked what it takes and gives, and becomes a version in the store."""
