"""The model folder: weights and memory in generations, a journal between them, the log beside them."""
