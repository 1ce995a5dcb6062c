"""Runs the brain `developmental` through scenes of the room one after another, and reads poses from what it predicts.

Scenes, test walks and the reading of poses are those of `bench learning`; embeddings are the tokens of the brain's own
encoder, made again from the pictures after each scene, since it never stops learning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.images import resize
from cls_common.transition import CAMERA, Observation, Reading, Transition
from cls_learning.brains.developmental.model import to_pictures
from cls_learning.brains.developmental.online_learner import DevelopmentalOnlineLearner
from cls_learning.types import History

from ..learning.environment import order, Pairs, SceneData, Walk
from ..learning.evaluator import matrix_metrics
from ..learning.metrics.pose import gain, pose_errors, PoseErrors
from ..learning.protocol import StreamProtocol
from ..learning.scene_data import Path, paths, shots
from .brain_run import opened_brain, Stopwatch
from .recipes import Recipe

# Side to which pictures are brought, half of the camera's.
SIDE: Final = 112
_BATCH: Final = 64
_HORIZONS: Final = (1, 5)


@dataclass(frozen=True)
class Pictures:
    """Walks of one scene by name, `learning` and `test_0` on, with their pictures uint8 (N + 1, H, W, 3)."""

    walks: dict[str, Path]
    pictures: dict[str, NDArray[np.uint8]]

    def transitions(self) -> Iterator[Transition]:
        """Yields the learning walk in order, as one episode."""
        walk, pictures = self.walks['learning'], self.pictures['learning']
        joints = np.radians(walk.poses)
        for i, (commanded, applied) in enumerate(zip(walk.commanded, walk.applied)):
            before, after = (Observation({CAMERA: Reading(pictures[k], k)}) for k in (i, i + 1))
            yield Transition(
                before=before, after=after, action_commanded=commanded, action_applied=applied, joints=joints[i],
                joints_next=joints[i + 1], boundary=i == 0,
            )  # fmt: skip


def render(protocol: StreamProtocol, seed: int, scene: int) -> Pictures:
    """Renders the walks of a scene, without those that the pose is not read from."""
    found = paths(protocol, seed, scene)
    pictures: dict[str, list[NDArray[np.uint8]]] = {}
    for name, image in takewhile(lambda each: each[0] != 'pairs', shots(protocol, found, seed, scene)):
        pictures.setdefault(name, []).append(resize(image, (SIDE, SIDE)))
    return Pictures({name: found[name] for name in pictures}, {name: np.stack(each) for name, each in pictures.items()})


class TokenPredictor:
    """Predicts tokens open loop with the averaged weights of the brain; each predicted picture is coded again."""

    def __init__(self, learner: DevelopmentalOnlineLearner) -> None:
        self._model, self._code = learner.fast, learner.code

    @torch.inference_mode()
    def encode(self, pictures: NDArray[np.uint8]) -> Tensor:
        """Returns tokens in a row, float32 (N, D), of pictures uint8 (N, H, W, 3)."""
        coded = [
            self._model.autoencoder.encode(to_pictures(torch.from_numpy(pictures[at : at + _BATCH]))).flatten(1)
            for at in range(0, len(pictures), _BATCH)
        ]
        return torch.cat(coded)

    @torch.inference_mode()
    def dream(self, z: Tensor, actions: Tensor, before: History | None = None) -> Tensor:
        """See Predictor of `bench learning`."""
        older = self._model.context - 1
        if before is None or not older:
            return self._roll([z], [], actions)
        is_known = before.known[:, -older:].all(1)
        found = torch.empty(len(z), actions.shape[1], z.shape[1])
        found[~is_known] = self._roll([z[~is_known]], [], actions[~is_known])
        past = [part[is_known, -older:].unbind(1) for part in (before.z, before.action)]
        found[is_known] = self._roll([*past[0], z[is_known]], [*past[1]], actions[is_known])
        return found

    def _roll(self, z: list[Tensor], past: list[Tensor], actions: Tensor) -> Tensor:
        model, steps = self._model, actions.shape[1]
        taken = self._code.to_input(torch.stack([*past, *actions.unbind(1)], 1)).clamp(-1.0, 1.0)
        tokens = [each.reshape(len(each), model.autoencoder.tokens, -1) for each in z]
        for _ in range(steps):
            last = slice(max(len(tokens) - model.context, 0), len(tokens))
            found = model.predictor(torch.stack(tokens[last], 1), taken[:, last]).tokens
            tokens.append(model.following(found, model.autoencoder.decode(found)))
        return torch.stack(tokens[-steps:], 1).flatten(2)


def run(recipe: Recipe, protocol: StreamProtocol, seed: int) -> dict[str, Any]:
    """Runs one seed; returns its metrics.

    Args:
        protocol: one with equal scenes and one share that is kept.
    """
    settings = {
        'network.size': SIDE, 'network.joins_edges': False, 'memory.capacity': protocol.capacity(protocol.shares[0]),
        'sleep.wake_steps_per_cycle': protocol.cycle,
    }  # fmt: skip
    watch, scenes, stages = Stopwatch(), list[Pictures](), list[list[float]]()
    with opened_brain(recipe, 'sim', seed, settings, {}) as training, training.loop as loop:
        learner = loop.learner
        assert isinstance(learner, DevelopmentalOnlineLearner)
        for number in order(protocol, seed):
            scenes.append(render(protocol, seed, number))
            watch.start()
            for transition in scenes[-1].transitions():
                loop.step(learner.prepare(transition), 'random', goes_on=False)
                loop.sleep_where_due()
            loop.catch_up()
            watch.stop()
            # A pose that can't be read has no gain.
            stages.append([_gain([pose_error(learner, each, 1)]) or 0.0 for each in scenes])
        gains = {f'pose_gain_{k}': _gain([pose_error(learner, each, k) for each in scenes]) for k in _HORIZONS}
        unknown = [stage + [float('nan')] * (len(stages) - len(stage)) for stage in stages]
        kept = {name: value for name, value in matrix_metrics(unknown).items() if name not in ('fwt', 'average')}
        return {
            **gains, **kept, **watch.metrics(), 'steps': learner.total_steps, 'restarts': learner.episode,
            'sleeps': learner.cycles, 'seconds_a_step': watch.processor / learner.total_steps,
            'parameters': sum(each.numel() for each in learner.fast.parameters()),
        }  # fmt: skip


def pose_error(learner: DevelopmentalOnlineLearner, scene: Pictures, horizon: int) -> PoseErrors | None:
    """Returns the pose errors of a scene so many steps ahead; None where no test is near a visited pose."""
    predictor = TokenPredictor(learner)
    walks = {
        name: Walk(
            predictor.encode(scene.pictures[name]), torch.from_numpy(walk.poses), torch.from_numpy(walk.commanded),
            torch.from_numpy(walk.applied),
        )
        for name, walk in scene.walks.items()
    }  # fmt: skip
    learning = walks.pop('learning')
    none = Pairs(learning.z[:0], learning.action[:0], learning.z[:0])
    return pose_errors(predictor, SceneData(learning, tuple(walks.values()), none, {}), horizon)


def _gain(found: list[PoseErrors | None]) -> float | None:
    """Returns the gain of the mean errors of scenes; None where no pose can be read."""
    known = [each for each in found if each is not None]
    if not known:
        return None
    mean = (float(np.mean([getattr(each, name) for each in known])) for name in ('true', 'predicted', 'copied'))
    return gain(PoseErrors(*mean))
