"""Imagined trajectories: the actor acts in the world model. Only the states from which they start are real."""

from typing import NamedTuple

import torch
from torch import Tensor

from .actor_critic import ActorCritic
from .intrinsic import Intrinsic
from .replay import Window
from .settings import AgentSettings
from .world import World


class Trajectory(NamedTuple):
    """H imagined steps of B trajectories.

    Attributes:
        states: normalised, float32 (H + 1, B, S). codes: of the actions taken there, (H, B, E).
        rewards, discounts: of step t to t + 1, (H, B).
    """

    states: Tensor
    codes: Tensor
    rewards: Tensor
    discounts: Tensor


def imagine(
    world: World, agent: ActorCritic, settings: AgentSettings, window: Window, noise: Tensor, intrinsic: Intrinsic
) -> Trajectory:
    """Imagines trajectories from the last states of some windows.

    The steps before the last of each window build up the state of a world model that carries one.

    Args:
        window: B windows of memory; actions, rewards and outcomes of their last steps are not read.
        noise: by which actions are drawn, (H, B, channels); see ActionSpace.sample.
        intrinsic: the reward whose weight is `curiosity`.
    """
    with torch.inference_mode():
        carried = world.initial(len(window.before))
        for k in range(window.before.shape[1] - 1):
            before, code = window.before[:, k], window.code[:, k]
            carried = world.predict(carried, before, code, window.elapsed_at(k)).carried
        state = window.before[:, -1]
        states, codes, rewards, discounts = [world.normalise(state)], [], [], []
        for drawn in noise:
            codes.append(agent.space.sample(agent.actor(states[-1])[0], drawn))
            outcome = world.predict(carried, state, codes[-1].clamp(-1.0, 1.0))
            carried, state = outcome.carried, outcome.state
            states.append(world.normalise(state))
            rewards.append(settings.task * outcome.reward + settings.curiosity * intrinsic(outcome))
            discounts.append(settings.discount * outcome.continuation)
    # Copies made outside of inference mode can take part in a loss.
    return Trajectory(*(torch.stack(each).clone() for each in (states, codes, rewards, discounts)))
