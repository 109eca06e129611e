"""Asked of a model: classify, explain, generate and forecast, and how their images and options come."""
