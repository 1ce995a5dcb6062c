"""Sessions for other people's tools: datasets of LeRobot and videos."""
