"""A real robot and the brain: the pan-tilt robot, or a JetBot with `robot:=jetbot`."""

from cls_bringup.nodes.launching import launch_graph


def generate_launch_description():
    """Returns all processes; `--show-args` lists the arguments."""
    return launch_graph('pan_tilt')
