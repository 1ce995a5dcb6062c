"""Trains LeWorldModel of torch-world (Maes et al. 2026) on walks of the dot, and prints its measures as JSON.

A program of its own, for the environment that `lewm` makes: it imports nothing of ours. It predicts embeddings and has
no decoder, so it has no R2: the object's place is read from embeddings by a linear probe, and the nearest action is the
one whose predicted embedding is the nearest to that of the outcome.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

SIDE = 224
# Side to which frames are shrunk; windows of a batch, rate and clipping as in the library's own experiment; frames on
# which the probe is fitted.
_SIDE, _BATCH, _RATE, _NORM, _PROBED = 56, 64, 3e-4, 10.0, 2000


def frames_of(packed: np.ndarray[Any, Any]) -> Tensor:
    """Returns frames float32 (..., 3, 56, 56) in 0..1 of packed bits (..., 224 x 224 / 8)."""
    bits = torch.from_numpy(np.unpackbits(packed, axis=-1)).view(*packed.shape[:-1], SIDE, SIDE).float()
    small = torch.nn.functional.avg_pool2d(bits, SIDE // _SIDE)
    return small[..., None, :, :].expand(*packed.shape[:-1], 3, _SIDE, _SIDE)


def run(data: Any, seconds: float, seed: int) -> dict[str, Any]:
    """Trains for so many processor seconds on one thread; returns the measures.

    Args:
        data: packed frames `frames` (E, T + 1, ...) with int64 `actions` (E, T) and `places` (E, T + 1, 2), and the
            same with `test_` before, of walks of which the last step is predicted.
    """
    from torch_world.benchmarks.experiment import lewm_baseline  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = lewm_baseline((3, _SIDE, _SIDE), 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    small = torch.stack([frames_of(episode) for episode in data['frames']])
    draws, parent = np.random.default_rng(seed), os.getppid()
    window = model.history + 1
    episodes, length = data['actions'].shape
    began, wall, steps = time.process_time(), time.monotonic(), 0
    while time.process_time() - began < seconds and os.getppid() == parent:
        at = draws.integers(episodes, size=_BATCH), draws.integers(length + 2 - window, size=_BATCH)
        frames = torch.stack([small[e, t : t + window] for e, t in zip(*at)])
        # The last of a window has no outcome.
        actions = np.stack([np.append(data['actions'][e, t : t + window - 1], 0) for e, t in zip(*at)])
        loss = model(frames, signed(actions))['loss']
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _NORM)
        optimizer.step()
        steps += 1
    used = {'steps': steps, 'processor_seconds': time.process_time() - began, 'seconds': time.monotonic() - wall}
    return {**used, **measures(model.eval(), data, draws)}


def signed(actions: np.ndarray[Any, Any]) -> Tensor:
    """Returns actions 0 and 1 as float32 (..., 1), -1 and 1."""
    return torch.from_numpy(actions).float()[..., None] * 2 - 1


@torch.no_grad()
def measures(model: Any, data: Any, draws: np.random.Generator) -> dict[str, Any]:
    """Returns nearest_action, and object_error_px of predicted and of encoded embeddings, read by the probe."""

    def encode(packed: np.ndarray[Any, Any]) -> Tensor:
        return torch.cat([model.encode(frames_of(packed[at : at + 32])) for at in range(0, len(packed), 32)])

    seen = data['test_frames'], data['test_actions']
    z = encode(seen[0])
    history = z[:, -1 - model.history : -1]
    actions = seen[1][:, -model.history :]
    other = actions.copy()
    other[:, -1] = 1 - other[:, -1]
    right, wrong = (model.predict(history, signed(each))[:, -1] for each in (actions, other))
    errors = [(each - z[:, -1]).square().mean(-1) for each in (right, wrong)]
    chosen = draws.permutation(data['frames'].shape[0] * data['frames'].shape[1])[:_PROBED]
    frames = data['frames'].reshape(-1, data['frames'].shape[-1])[chosen]
    known = encode(frames[:, None])[:, 0]
    probe = fit(known, data['places'].reshape(-1, 2)[chosen])
    true = data['test_places'][:, -1]
    return {
        'nearest_action': float((errors[0] < errors[1]).float().mean()),
        'object_error_px': error(probe, right, true),
        'probe_error_px': error(probe, z[:, -1], true),
    }


def fit(z: Tensor, places: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Fits sine and cosine of both places on the torus by ridge regression; returns mean, scale and weights."""
    mean, scale = z.mean(0), z.std(0).clamp_min(1e-6)
    x = torch.nn.functional.pad((z - mean) / scale, (0, 1), value=1.0)
    angles = torch.from_numpy(places).float() * (2 * np.pi / SIDE)
    y = torch.cat([angles.sin(), angles.cos()], 1)
    return mean, scale, torch.linalg.solve(x.T @ x + 1e-3 * len(x) * torch.eye(x.shape[1]), x.T @ y)


def error(probe: tuple[Tensor, Tensor, Tensor], z: Tensor, places: np.ndarray[Any, Any]) -> float:
    """Returns the mean distance on the torus of the places that are read from those that are true, pixels."""
    mean, scale, weights = probe
    read = torch.nn.functional.pad((z - mean) / scale, (0, 1), value=1.0) @ weights
    found = torch.atan2(read[:, :2], read[:, 2:]) * (SIDE / (2 * np.pi))
    apart = (found - torch.from_numpy(places) + SIDE / 2) % SIDE - SIDE / 2
    return float(apart.norm(dim=1).mean())


def main() -> int:
    """Runs what standard input asks for."""
    asked = json.loads(sys.stdin.read())
    with np.load(asked['file']) as data:
        print(json.dumps(run(dict(data), asked['seconds'], asked['seed'])))
    return 0


if __name__ == '__main__':
    sys.exit(main())
