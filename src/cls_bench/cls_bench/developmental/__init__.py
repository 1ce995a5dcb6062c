"""Benchmark of the brain `developmental`, without ROS. `corridor` compares planners at one and at two time scales."""
