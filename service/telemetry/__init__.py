"""What the running service tells its operators: instruments and log lines."""
