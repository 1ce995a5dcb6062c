"""Autoencoders and predictors by name. Each file defines `NETWORK`, a class of `contract`."""
