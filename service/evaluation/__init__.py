"""Judging generative models: uploads to samples, samples to scores, scores to a report and a verdict."""
