"""Scores of generative models: pure functions over features and probabilities, in float64."""
