"""What the Open Inference Protocol asks, whatever transport brings it: tensors to tensors, by the task of a model."""
