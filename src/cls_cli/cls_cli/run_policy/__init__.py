"""Runs a policy on a robot without a learner: no networks and no model."""
