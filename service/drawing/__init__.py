"""Drawings for people: small plots as SVG, forecasts, explanations."""
