"""Bodies of simulated robots: one contract (`body.py`) for any Gymnasium environment."""
