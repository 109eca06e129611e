"""Queues, batches, devices and the links between processes."""
