"""The brain alone: encoder, fast_learner and slow_learner, for a robot that runs elsewhere."""

from cls_common.launching import describe_launch
from cls_common.graph import describe_brain


def generate_launch_description():
    """Returns the processes of `cls_common.graph.describe_brain`."""
    return describe_launch(describe_brain)
