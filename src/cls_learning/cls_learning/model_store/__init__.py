"""The model folder: generations of weights and memory, the journal between them, training.log."""
