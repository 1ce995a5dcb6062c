"""Benchmarks of learning and exploration against baselines, and crash tests of the learners."""
