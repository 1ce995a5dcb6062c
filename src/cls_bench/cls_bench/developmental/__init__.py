"""Benchmark of the brain `developmental`: what it predicts of pictures, and what it keeps, without ROS.

`recipes` lists what is compared by world. `dot_walks` makes walks of the dot, `metrics` measures predictions on them,
`brain_run` runs the brain there, `lewm` and `lewm_run` run LeWorldModel of torch-world; `room_run` runs the brain
through scenes of the room, `corridor` compares planners at one and at two time scales. `runner` runs everything,
`report`, `table` and `plots` show the results.
"""
