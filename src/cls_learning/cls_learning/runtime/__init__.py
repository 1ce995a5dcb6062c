"""Runs a brain: one step online, one session of a model in its folder, leases and backlogs."""
