"""What a model's card says that the model is worth, measured through the path that serves it."""
