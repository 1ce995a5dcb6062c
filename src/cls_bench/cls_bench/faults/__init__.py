"""Crash tests: kills learners at random moments and checks that what they learned is restored."""
