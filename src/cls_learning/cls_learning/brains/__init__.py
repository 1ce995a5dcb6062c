"""Brains, one folder each, found by name; see `cls_learning.brain`."""
