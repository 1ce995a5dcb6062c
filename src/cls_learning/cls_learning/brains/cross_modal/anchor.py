"""Consolidation of synapses beside dreams: the sleep phase `anchor`, off without `sleep.anchor.penalty`.

After its dreams a sleep measures how much each weight of its result, the new Slow, matters for windows of memory, and
anchors these weights. The next sleep trains a student that begins from the averaged Fast, which has moved away awake; a
penalty in the loss of its dreams pulls the weights that matter back to the anchor. Awake there is no penalty: Fast is
free to learn a new world.
"""

from collections.abc import Iterator

import torch

from ... import penalties
from ...brain import State
from ...penalties.contract import Penalty
from ...penalties.samples import Gaussian
from ...penalties.settings import AnchorSettings
from .dreams import Windows
from .model import all_present, CrossModalModel


def make_penalty(settings: AnchorSettings, student: CrossModalModel, anchor: State) -> Penalty | None:
    """Makes the penalty on the weights of a student that predict; None where the settings name none.

    Args:
        student: its weights are where training begins, and are changed in place.
        anchor: state of the penalty after the last anchor; empty before the first.
    """
    if not settings.penalty:
        return None
    trained = set(student.predicting().parameters())
    weights = {name: weight for name, weight in student.named_parameters() if weight in trained}
    penalty = penalties.make(settings.penalty, weights, settings.plugins)
    if anchor:
        penalty.load(anchor)
        penalty.begin()
    return penalty


def samples(model: CrossModalModel, windows: Windows) -> Iterator[Gaussian]:
    """Yields what a model predicts for the last step of each window, all senses, with gradient.

    The internal state is rebuilt from the start of the window; each sense has the same share, as in the loss.
    """
    steps = windows.code.shape[1]
    for row in range(len(windows.code)):
        one, carried = windows.take(torch.tensor([row])), model.initial(1)
        for k in range(steps):
            carried, predicted = model.step(carried, one.at(k), all_present(one.at(k)), one.code[:, k])
        yield Gaussian(model.in_units(predicted.senses)[0], model.in_units(one.at(steps))[0])
