"""Code that two or more packages share."""
