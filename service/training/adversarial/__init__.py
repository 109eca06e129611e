"""Adversarial training: the loop, its recipe, the systems, and what is watched meanwhile."""
