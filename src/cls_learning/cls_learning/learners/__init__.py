"""Fast and Slow: a world model, its optimisers, and the averaged weights that act."""
