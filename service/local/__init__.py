"""The service in this process, without a server: the same work through one engine, kept open between calls."""
