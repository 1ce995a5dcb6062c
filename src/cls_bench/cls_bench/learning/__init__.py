"""Benchmark of what the learners learn, against baselines, without ROS.

`protocol` defines a stream of experience, `scene_data` and `cache` make and keep the data, `evaluator` and `metrics`
score models, `baselines` holds one family of learners a file, `runner` runs them in processes, `report`, `table` and
`plots` show the results.
"""
