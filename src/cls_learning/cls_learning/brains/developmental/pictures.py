"""What the brain `developmental` sees, what it had predicted, and what it expects of each action, for a person."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .inspection.figures import Figure, image
from .model import DevelopmentalModel, Steps

# Actions of which the expected outcome is shown.
MOST_ACTIONS = 9


@torch.inference_mode()
def pictures_of(
    model: DevelopmentalModel, steps: Steps, predicted: Tensor, actions: Sequence[str]
) -> dict[str, Figure]:
    """Returns pictures by name: `seen`, `predicted` for it, `decoded` (its reconstruction), and one of each action.

    Args:
        steps: one history, B = 1, with zeros for the next action and its outcome.
        predicted: what was predicted for the newest picture, (1, 3, H, W). actions: the candidates as text.
    """
    seen = steps.pictures[:, -2]
    found = {'seen': seen, 'predicted': predicted, 'decoded': model.reconstruct(seen)}
    shown = model.candidates[:MOST_ACTIONS]
    found |= zip(actions, model.sweep(steps, shown).mean(0)[:, None])
    return {name: image(picture[0]) for name, picture in found.items()}
