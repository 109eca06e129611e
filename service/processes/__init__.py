"""The processes of a running service: a supervisor, and the fronts, engines and evaluators that it starts."""
