"""Actor and critic as files of PyTorch, in the layout of the original system: `torch.load(FILE, weights_only=True)`."""

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
import shutil
from typing import Any

import torch
from torch import nn, Tensor

from cls_common.atomic_file import publish, temporary_of
from cls_common.errors import UserError
from cls_common.robot import Kind, RobotInfo

# Networks of a model that are written, by name; and that in which states are normalised.
_NETWORKS, _WORLD = ('actor', 'critic'), 'world'


def action_size(robot: RobotInfo) -> int:
    """Returns the length of an action in which a discrete channel has one number for each of its values."""
    return sum(int(c.high - c.low) + 1 if c.kind == Kind.DISCRETE else 1 for c in robot.channels)


def write_torch_files(
    output: Path, networks: Mapping[str, nn.Module], sizes: Mapping[str, int], config: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
) -> None:  # fmt: skip
    """Writes actor.pth, critic.pth and training_info.pth to a new folder, which appears only when it is complete.

    The networks read normalised states: `normalisation` in `model_config` has mean and scale.

    Args:
        networks: of the model. sizes: `state_dim` and `action_dim`. config: settings by name.
        rows: of training.log.

    Raises:
        UserError: the model has no actor or no critic.
    """
    missing = [name for name in _NETWORKS if name not in networks]
    if missing:
        raise UserError(f"this model's {missing[0]}", expected='a network', found='none', do='Choose another --format.')
    files: dict[str, dict[str, Any]] = {
        name: {
            'model_state_dict': {k: v.detach().clone() for k, v in networks[name].state_dict().items()},
            'model_config': {**sizes, 'normalisation': normalisation(networks)},
        }
        for name in _NETWORKS
    }
    files['training_info'] = {'config': dict(config), **training_history(rows)}
    partial = temporary_of(output)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        for name, content in files.items():
            torch.save(content, partial / f'{name}.pth')
        publish(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def normalisation(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Returns copies of what normalises the states that networks read, by name: `mean`, `scale` ..., float32 (S,)."""
    world = networks.get(_WORLD)
    return {} if world is None else {name: each.clone() for name, each in world.named_buffers(recurse=False)}


def training_history(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Returns episode_rewards, episode_lengths, training_losses by name and final_stats over all whole episodes.

    Args:
        rows: of training.log; an episode ends where `episode_return` is given.
    """
    rewards, lengths, begin = [], [], 0
    losses: dict[str, list[float]] = {}
    for row in rows:
        if row.get('episode_return'):
            step = int(row['step'])
            rewards.append(float(row['episode_return']))
            lengths.append(step - begin)
            begin = step
        for name, value in row.items():
            if name.endswith('_loss') and value:
                losses.setdefault(name, []).append(float(value))
    return {
        'episode_rewards': rewards, 'episode_lengths': lengths, 'training_losses': losses,
        'final_stats': {
            'avg_episode_reward': _mean(rewards), 'avg_episode_length': _mean(lengths),
            'best_episode_reward': max(rewards, default=math.nan), 'total_episodes': len(rewards),
        },
    }  # fmt: skip


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else math.nan
