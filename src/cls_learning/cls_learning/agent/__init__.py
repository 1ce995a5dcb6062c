"""The learner's two pure halves, and the loop that runs them in one process."""
