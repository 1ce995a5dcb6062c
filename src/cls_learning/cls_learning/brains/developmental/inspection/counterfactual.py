"""What predictions owe to the action: other actions, zero actions, no action, and all actions.

Shapes as in `networks.contract`. Dropout is off throughout, since its noise is as large as the differences are.
Attention to the action proves nothing of this kind (Jain and Wallace 2019), so these stand beside it.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..networks.contract import Predictor
from .measures import evaluation, explained_variance

# Loss of predicted tokens (B, N, D), one number; and pictures (B, 3, H, W) of tokens (B, N, D).
Loss = Callable[[Tensor], Tensor]
Draw = Callable[[Tensor], Tensor]


def action_gaps(
    predictor: Predictor, tokens: Tensor, actions: Tensor, loss: Loss, generator: np.random.Generator
) -> dict[str, float]:
    """Returns by how much the loss rises with shuffled (asg) and with zero actions (azg); positive if they matter.

    `changed` is the share of last actions that shuffling changed. Where it is 0, as with one action all along, asg is 0
    whatever was learned.
    """
    order = torch.from_numpy(generator.permutation(actions.shape[0] * actions.shape[1])).to(actions.device)
    shuffled = actions.flatten(0, 1)[order].view_as(actions)
    with evaluation(predictor):
        true, other, zero = (
            float(loss(predictor(tokens, these).tokens)) for these in (actions, shuffled, torch.zeros_like(actions))
        )
    return {
        'predictor/counterfactual/asg': other - true,
        'predictor/counterfactual/azg': zero - true,
        'predictor/counterfactual/changed': float((shuffled[:, -1] != actions[:, -1]).any(-1).float().mean()),
    }


def r2_gap(
    predictor: Predictor, tokens: Tensor, actions: Tensor, wrong: Tensor, draw: Draw, target: Tensor
) -> dict[str, float]:
    """Returns the explained variance of the next pictures with the true action, with a wrong one, and the gap.

    Args:
        wrong: actions (B, A) in place of the last ones. target: next pictures (B, 3, H, W).
    """
    replaced = torch.cat([actions[:, :-1], wrong[:, None]], 1)
    with evaluation(predictor):
        true, other = (
            explained_variance(draw(predictor(tokens, these).tokens), target) for these in (actions, replaced)
        )
    return {
        'predictor_explained_variance': true,
        'predictor/counterfactual/r2_wrong': other,
        'predictor/counterfactual/r2_gap': true - other,
    }


def causal_check(predictor: Predictor, tokens: Tensor, actions: Tensor, loss: Loss) -> dict[str, float]:
    """Returns by how much the loss rises if the last action is removed: by each route, and by all of them.

    A predictor names its routes in an attribute `routes` and takes `without`, those to leave out. Without that
    attribute nothing is returned.
    """
    routes: tuple[str, ...] = getattr(predictor, 'routes', ())
    if not routes:
        return {}
    removed = {route: (route,) for route in routes} | {'action': routes}
    with evaluation(predictor):
        whole = float(loss(predictor(tokens, actions).tokens))
        return {
            f'predictor/causal/without_{name}': float(loss(predictor(tokens, actions, without=without).tokens)) - whole
            for name, without in removed.items()
        }


def action_sensitivity(
    predictor: Predictor, tokens: Tensor, earlier: Tensor, candidates: Tensor, draw: Draw
) -> dict[str, float]:
    """Returns the variance of the predicted picture over the actions of the whole space, mean over pixels.

    Args:
        tokens, earlier, candidates: see `Predictor.sweep`; the candidates are all actions, or a grid of them.
    """
    with evaluation(predictor):
        pictures = predicted_pictures(predictor, tokens, earlier, candidates, draw)
    return {'predictor/action_sensitivity/variance': float(pictures.var(0, correction=0).mean())}


def predicted_pictures(predictor: Predictor, tokens: Tensor, earlier: Tensor, candidates: Tensor, draw: Draw) -> Tensor:
    """Returns the picture that is predicted for each of K actions, mean over members, (K, 3, H, W)."""
    return torch.stack([draw(member) for member in predictor.sweep(tokens, earlier, candidates)]).mean(0)
