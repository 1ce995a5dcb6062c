"""Benchmark of continual learning: accuracy on tasks that are learned one after another, beside Avalanche, without ROS.

`digits` makes the streams, `network` and `evaluator` are those of every method, `methods` holds ours, `rows` lists what
is compared, `stream_run` runs one of ours, `avalanche_run` and `avalanche` one of theirs, `runner` tunes and runs
everything, `report`, `table` and `plots` show the results.
"""
