"""Export of sessions: LeRobot datasets and videos."""
