"""Benchmark of control: real steps until a task is solved, of the brain `spiking` and of its peers, without ROS.

`solving` says what solved means, `environments` and `agents` name what is run, `brain_run`, `planner_run` and
`sb3_run` run one agent, `peers` makes the environment of stable-baselines3, `runner` runs everything in processes,
`report`, `table` and `plots` show the results.
"""
