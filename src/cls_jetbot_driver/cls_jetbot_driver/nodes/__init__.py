"""ROS nodes of this package; only these files import ROS."""
