"""The brain alone: encoder, fast_learner and slow_learner, for a robot that runs elsewhere."""

from cls_bringup.nodes.launching import launch_graph


def generate_launch_description():
    """Returns the brain's processes."""
    return launch_graph('pan_tilt', brain_only=True)
