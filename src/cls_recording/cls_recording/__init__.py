"""Sessions: recorded, listed, repaired, replayed and exported, as standard rosbag2 folders in MCAP."""
