"""Adversarial systems: what the two players minimise, and what constrains them."""
