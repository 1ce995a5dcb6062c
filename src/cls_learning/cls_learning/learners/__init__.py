"""Fast and Slow: a world model, how it is trained, and the weights that act."""
