"""Autoencoders and predictors by name: a file defines `make_autoencoder`, `make_predictor` or both."""
