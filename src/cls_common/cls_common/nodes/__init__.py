"""What ROS nodes of several packages share. Only folders named `nodes` import ROS."""
