"""The networks, as published: no device, no file, no training."""
