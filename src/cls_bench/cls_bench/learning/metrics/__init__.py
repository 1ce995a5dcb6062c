"""Figures as the learning probe defines them, sections 7 and 11: pure functions of errors and embeddings."""
