"""Cards: devices beside the processor, which work on several batches at a time, each at another stage."""
