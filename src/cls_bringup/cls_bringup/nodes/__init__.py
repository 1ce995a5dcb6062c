"""The only files of this package that import ROS."""
