"""Runs a brain: the online step, the session of a model in its folder, lease and backlog."""
