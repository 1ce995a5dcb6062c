"""Functions for notebooks and reports: recorded sessions, saved models, and training a model for some steps."""
