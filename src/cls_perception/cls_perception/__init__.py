"""Cameras, and encoders that turn images into embeddings."""
