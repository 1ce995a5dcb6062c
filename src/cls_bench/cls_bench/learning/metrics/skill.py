"""Skill: 1 - mean squared error / mean squared error of copying, in the raw space of the encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..environment import Pairs, SceneData, Walk
from ..predictor import predict, Predictor

HORIZONS = (1, 3, 5, 10)
MOVES_DEG = ((0.0, 2.5), (2.5, 5.0), (5.0, 10.0))  # by the largest axis
_PAIRS_OF_A_MOVE = 200
COMPONENT_FLOOR = -1.0  # limits the influence of a single bad component


def errors(a: Tensor, b: Tensor) -> Tensor:
    """Mean over dimensions of the squared difference, float64 (...) from (..., D)."""
    return (a.double() - b.double()).square().mean(-1)


def skill(error: float, copied: float) -> float:
    """1 - error / copied; NaN where nothing changes."""
    return 1.0 - error / copied if copied > 0 else float('nan')


def skill_of(model: Predictor, steps: Pairs) -> float:
    """Skill over single steps."""
    predicted = predict(model, steps.z, steps.action, steps.history)
    return skill(float(errors(predicted, steps.z_next).mean()), float(errors(steps.z, steps.z_next).mean()))


def dreams(model: Predictor, walk: Walk, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """Predicts open loop from every frame of a walk with `horizon` more after it, with the true actions.

    Returns:
        start of each prediction int64 (B,), predicted embeddings (B, horizon, D), and copied ones (B, D).
    """
    count = len(walk) - horizon + 1
    starts = torch.arange(count)
    actions = torch.stack([walk.action[starts + k] for k in range(horizon)], dim=1)  # (B, K, 2)
    z = walk.z[starts]
    return starts, model.dream(z, actions, walk.before(starts)), z


def skill_at(model: Predictor, walks: Sequence[Walk], horizons: Sequence[int] = HORIZONS) -> dict[str, float | None]:
    """Skill of open-loop prediction against copying the first embedding; None where the walks are too short."""
    found: dict[str, float | None] = {}
    for k in horizons:
        error = copied = 0.0
        for walk in (w for w in walks if len(w) >= k):
            starts, path, z = dreams(model, walk, k)
            true = walk.z[starts + k]
            error += float(errors(path[:, -1], true).sum())
            copied += float(errors(z, true).sum())
        found[str(k)] = skill(error, copied) if copied else None
    return found


def skill_by_move(model: Predictor, walks: Sequence[Walk], generator: torch.Generator) -> dict[str, float | None]:
    """Skill by the size of the move, over pairs of test frames, which form a step since the scene is static.

    Args:
        generator: draws 200 pairs for each size.
    """
    z, poses = torch.cat([w.z for w in walks]), torch.cat([w.poses for w in walks])
    moves = poses[None] - poses[:, None]  # (from, to, 2)
    size = moves.abs().amax(-1)
    found: dict[str, float | None] = {}
    for low, high in MOVES_DEG:
        chosen = ((size > low) & (size <= high)).nonzero()
        name = f'{low:g}-{high:g}'
        if not len(chosen):
            found[name] = None
            continue
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:_PAIRS_OF_A_MOVE]]
        start, end = chosen[:, 0], chosen[:, 1]
        found[name] = skill_of(model, Pairs(z[start], moves[start, end].float(), z[end]))
    return found


def still_error(model: Predictor, steps: Pairs) -> float:
    """Squared change predicted for a zero action, as a share of that of a real step; 0 is right."""
    predicted = predict(model, steps.z, torch.zeros_like(steps.action), steps.history)
    return float(errors(predicted, steps.z).mean() / errors(steps.z, steps.z_next).mean())


def shuffled_skill(model: Predictor, steps: Pairs, generator: torch.Generator) -> float:
    """Skill with the actions permuted within the test stream."""
    shuffled = steps.action[torch.randperm(len(steps.action), generator=generator)]
    return skill_of(model, Pairs(steps.z, shuffled, steps.z_next, steps.history))


def balanced_skill(model: Predictor, scene: SceneData, basis: Tensor) -> float:
    """Mean over components of the skill in each, clipped below at -1.

    Args:
        basis: (D, C) principal components of the learning walks.
    """
    steps = scene.test()
    predicted = predict(model, steps.z, steps.action, steps.history)
    error = ((predicted - steps.z_next) @ basis).double().square().mean(0)  # (C,)
    copied = ((steps.z - steps.z_next) @ basis).double().square().mean(0)
    return float((1.0 - error / copied).clamp_min(COMPONENT_FLOOR).mean())
