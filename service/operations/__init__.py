"""What the service does for one request: understood, carried out through any engine, answered in pieces."""
