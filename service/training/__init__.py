"""Makes weights: loops, recipes, checkpoints."""
