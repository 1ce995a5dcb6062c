"""Fast and slow learner, curiosity, sleep and the model folder."""
