"""Training in one process, without ROS: from simulated robots, from recorded sessions, and of encoders."""
