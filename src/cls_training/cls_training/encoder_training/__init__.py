"""Trains encoders on recorded sessions, and creates models with them."""
