"""Kills learners at random moments and checks that nothing they learned is lost (design, section 4)."""
