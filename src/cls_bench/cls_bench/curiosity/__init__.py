"""Benchmark of exploration: intrinsic rewards against random actions and a planner that knows the map."""
