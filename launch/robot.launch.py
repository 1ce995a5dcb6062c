"""The pan-tilt robot: camera, servo_driver and the brain."""

from cls_bringup.nodes.launching import launch_graph


def generate_launch_description():
    """Returns all processes; `--show-args` lists the arguments."""
    return launch_graph('pan_tilt')
