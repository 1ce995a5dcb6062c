"""A recorded session in the robot's place, and the brain that learns from it."""

from cls_bringup.nodes.launching import launch_graph


def generate_launch_description():
    """Returns all processes; `--show-args` lists the arguments."""
    return launch_graph('replay')
