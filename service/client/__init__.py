"""A client of a running service, for programs and the command line: plain calls, the service's own errors, no torch."""
