"""Simulated robots over Gymnasium environments."""
