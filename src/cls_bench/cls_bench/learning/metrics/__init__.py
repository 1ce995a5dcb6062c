"""Metrics of models and environments: pure functions of errors, embeddings and poses."""
