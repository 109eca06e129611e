"""Engines on other machines: replicas of a cluster behind the one interface of all engines."""
