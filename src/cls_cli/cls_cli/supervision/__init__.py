"""Starts, watches and ends the processes of the graph with supervisord. No ROS here."""
