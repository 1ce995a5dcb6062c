"""Starts, watches and ends the processes of the graph where `ros2 launch` is absent. No ROS here."""
