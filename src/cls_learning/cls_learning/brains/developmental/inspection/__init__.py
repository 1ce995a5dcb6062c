"""Measures of what the networks of the brain `developmental` see, know and change. Nothing here trains."""
