"""Acts without learning: a robot, a policy, statistics; no networks and no model (rows 001-058 to 001-062)."""
