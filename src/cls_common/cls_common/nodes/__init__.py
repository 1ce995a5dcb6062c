"""ROS code that nodes of several packages share. Only folders named `nodes` import ROS."""
