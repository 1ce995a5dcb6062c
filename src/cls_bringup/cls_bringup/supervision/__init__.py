"""Starts, watches and ends the processes of the graph without `ros2 launch`."""
