"""Reports of models and sessions: one HTML file each, without other files and without a network."""
