"""Runs PPO or DQN of stable-baselines3 until a task is solved, and prints the metrics as JSON.

A program of its own, for the environment that `peers` makes: it imports nothing of ours but `solving`.
"""

import argparse
from collections.abc import Callable
import json
import os
import sys
from typing import Any

from cls_bench.control.solving import Bounds, ROUND, Rounds, SCREENING


def _linear(start: float) -> Callable[[float], float]:
    """Returns a schedule that falls to 0; stable-baselines3 passes the share that remains."""
    return lambda remaining: remaining * start


# Settings of rl-baselines3-zoo (Raffin 2020), with the number of steps that their schedules are for.
TUNED: dict[tuple[str, str], tuple[int, int, dict[str, Any]]] = {
    ('ppo', 'CartPole-v1'): (
        8, 100_000,
        {
            'n_steps': 32, 'batch_size': 256, 'gae_lambda': 0.8, 'gamma': 0.98, 'n_epochs': 20, 'ent_coef': 0.0,
            'learning_rate': _linear(0.001), 'clip_range': _linear(0.2),
        },
    ),
    ('dqn', 'CartPole-v1'): (
        1, 50_000,
        {
            'learning_rate': 2.3e-3, 'batch_size': 64, 'buffer_size': 100_000, 'learning_starts': 1000, 'gamma': 0.99,
            'target_update_interval': 10, 'train_freq': 256, 'gradient_steps': 128, 'exploration_fraction': 0.16,
            'exploration_final_eps': 0.04, 'policy_kwargs': {'net_arch': [256, 256]},
        },
    ),
}  # fmt: skip


def run(algorithm: str, env: str, bounds: Bounds, budget: int, seed: int, *, tuned: bool) -> dict[str, Any]:
    """Runs one seed until it is solved, or over; returns its metrics."""
    from stable_baselines3 import DQN, PPO  # type: ignore[import-not-found]
    from stable_baselines3.common.callbacks import BaseCallback  # type: ignore[import-not-found]
    from stable_baselines3.common.env_util import make_vec_env  # type: ignore[import-not-found]
    from stable_baselines3.common.evaluation import evaluate_policy  # type: ignore[import-not-found]
    import torch

    torch.set_num_threads(1)
    count, planned, settings = TUNED[algorithm, env] if tuned else (1, budget, {})
    model = {'ppo': PPO, 'dqn': DQN}[algorithm](
        'MlpPolicy', make_vec_env(env, count, seed=seed), seed=seed, device='cpu', **settings
    )
    evaluated = make_vec_env(env, SCREENING, seed=seed + 10_000)

    def mean_return(episodes: int) -> float:
        return float(evaluate_policy(model, evaluated, episodes, deterministic=True)[0])

    rounds, parent = Rounds(bounds, budget, mean_return), os.getppid()

    class Evaluation(BaseCallback):  # type: ignore[misc]
        is_over = False
        last = 0

        def _on_rollout_start(self) -> None:
            # Weights of PPO change only between roll-outs.
            if self.num_timesteps - self.last >= ROUND:
                self.last = self.num_timesteps
                self.is_over = rounds.add(self.num_timesteps) or os.getppid() != parent

        def _on_step(self) -> bool:
            return not self.is_over

    model.learn(planned, callback=Evaluation())
    if not rounds.all:
        rounds.add(model.num_timesteps)
    return rounds.metrics()


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser()
    for name in ('algorithm', 'env'):
        parser.add_argument(f'--{name}', required=True)
    for name in ('solved', 'kept'):
        parser.add_argument(f'--{name}', required=True, type=float)
    for name in ('budget', 'seed'):
        parser.add_argument(f'--{name}', required=True, type=int)
    parser.add_argument('--tuned', action='store_true')
    asked = parser.parse_args()
    bounds = Bounds(asked.solved, asked.kept)
    print(json.dumps(run(asked.algorithm, asked.env, bounds, asked.budget, asked.seed, tuned=asked.tuned)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
