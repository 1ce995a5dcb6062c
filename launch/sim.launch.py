"""A simulated robot and the brain: nothing but this machine is needed."""

from cls_bringup.nodes.launching import launch_graph


def generate_launch_description():
    """Returns all processes; `--show-args` lists the arguments."""
    return launch_graph('sim')
