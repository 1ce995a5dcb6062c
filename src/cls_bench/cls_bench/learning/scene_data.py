"""Makes the data of one scene: walks, camera images and embeddings.

A named environment is one scene, or two where it changes: stretches of one walk.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import hashlib
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.stamps import NS
from cls_learning.randomness import stream
from cls_perception.encoder import Encoder
from cls_sim.bodies.pan_tilt_body import PanTiltBody, room_env
from cls_sim.robot import SimulatedRobot, START_NS
from cls_sim.worlds.pan_tilt import LIMITS_DEG, STEP_LIMIT_DEG

from .named_environments import PERIOD, simulation
from .protocol import StreamProtocol

NOISE: Final = 2.0  # grey levels, while learning
SHIFTED_NOISE: Final = (4.0, 8.0)  # only tested
EXPOSURE: Final = 0.8  # of the light, only tested
_BATCH: Final = 16

Poses = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Path:
    """Poses and actions of W walks with N actions in total, one after another, in degrees.

    Attributes:
        poses: float64 (N + W, 2), of the servos.
        commanded, applied: float32 (N, 2); applied by a body that acts late: the actions that it accepted.
    """

    poses: Poses
    commanded: NDArray[np.float32]
    applied: NDArray[np.float32]

    def walks(self) -> Iterator[tuple[Poses, NDArray[np.float32]]]:
        """Yields the first pose, float64 (2,), and the commanded actions, float32 (n, 2), of each walk."""
        count = len(self.poses) - len(self.commanded)
        for poses, commanded in zip(np.split(self.poses, count), np.split(self.commanded, count)):
            yield poses[0], commanded


def walk(start: Poses, steps: int, generator: np.random.Generator, lag: int = 0) -> Path:
    """Makes a random walk from pose `start` (2,) deg: actions uniform in +-10 degrees, clipped by the joint limits.

    Args:
        lag: steps by which the body acts late: poses are those of the actions that many steps before.
    """
    commanded = generator.uniform(-STEP_LIMIT_DEG, STEP_LIMIT_DEG, (steps, 2)).astype(np.float32)
    poses = [start]
    for action in commanded.astype(np.float64):
        poses.append(np.clip(poses[-1] + action, -LIMITS_DEG, LIMITS_DEG))
    track = np.stack(poses)
    if lag:
        late = np.concatenate([np.repeat(track[:1], lag, axis=0), track])[: len(track)]
        return Path(late, commanded, commanded.copy())
    return Path(track, commanded, np.diff(track, axis=0).astype(np.float32))


def paths(protocol: StreamProtocol, seed: int, scene: int) -> dict[str, Path]:
    """Returns the walks of a scene: `learning`, `test_0` and on, and `pairs`, single steps from uniform poses.

    The learning walk starts in the middle, or where the last stretch of a named environment ended; the others start at
    uniform poses.
    """

    def draws(purpose: str) -> np.random.Generator:
        return stream(seed, f'bench.{purpose}', scene)

    goes_on = bool(protocol.environment) and scene > 0
    start = paths(protocol, seed, scene - 1)['learning'].poses[-1] if goes_on else np.zeros(2)
    lag = simulation(protocol, seed, scene, NOISE).faults.action_lag
    found = {'learning': walk(start, protocol.steps, draws('learning'), lag)}
    for number in range(protocol.test_walks):
        generator = draws(f'test.{number}')
        found[f'test_{number}'] = walk(generator.uniform(-LIMITS_DEG, LIMITS_DEG), protocol.test_steps, generator, lag)
    generator = draws('pairs')
    starts = generator.uniform(-LIMITS_DEG, LIMITS_DEG, (protocol.pairs, 2))
    steps = [walk(start, 1, generator, lag) for start in starts]
    found['pairs'] = Path(
        np.concatenate([step.poses for step in steps]),
        np.concatenate([step.commanded for step in steps]),
        np.concatenate([step.applied for step in steps]),
    )
    return found


def shots(protocol: StreamProtocol, found: dict[str, Path], seed: int, scene: int) -> Iterator[tuple[str, Image]]:
    """Renders every path, and the first test walk again under noise and light that are only tested.

    Tests are spread over the time of the learning walk, for environments that change with time. Where the camera lags,
    only the images of the learning walk are late; a body that acts late does so in all walks.

    Yields:
        name of the path, image uint8 (H, W, 3); no two images of a scene share their noise.
    """
    settings = simulation(protocol, seed, scene, NOISE)
    env = room_env(settings)
    robot = SimulatedRobot(PanTiltBody('sim', env, settings), settings)
    begin = START_NS + round(scene * protocol.steps * PERIOD * NS if protocol.environment else 0)
    lag = settings.faults.image_lag

    def look(path: Path, share: float = 0.0, skipped: int = 0) -> Iterator[Image]:
        # A test has to end before the learning walk does.
        free = max(protocol.steps - len(path.poses) - skipped, 0)
        robot.now_ns = begin + round(share * free * PERIOD * NS)
        for start, actions in path.walks():
            env.start_pose_deg = start
            moves = (robot.step(action) for action in (*actions, *np.zeros((skipped, 2))))
            for step in islice(chain([robot.reset()], moves), skipped, None):
                assert step.image is not None
                yield step.image

    for number, (name, path) in enumerate(found.items()):
        is_test = name != 'learning'
        yield from ((name, image) for image in look(path, number / (len(found) + 1), lag if is_test else 0))
    for sigma in SHIFTED_NOISE:
        env.set_noise(sigma)
        yield from ((f'noise_{sigma:.0f}', image) for image in look(found['test_0'], 0.5, lag))
    env.set_noise(settings.noise_sigma)
    env.panorama, env.later_panorama = (
        np.rint(panorama * EXPOSURE).astype(np.uint8) for panorama in (env.panorama, env.later_panorama)
    )
    yield from (('exposure', image) for image in look(found['test_0'], 0.5, lag))


def encode(
    protocol: StreamProtocol, seed: int, scene: int, encoder: Encoder, report: Callable[[float], None]
) -> tuple[dict[str, Tensor], str]:
    """Renders and encodes one scene.

    Returns:
        tensors by name: `z.<path>` float32 (N + 1, D), `poses.<path>` float64 degrees, `commanded.<path>` and
        `applied.<path>` float32 degrees; and the hash of all its pixels, poses and actions.
    """
    found = paths(protocol, seed, scene)
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    for name, path in found.items():
        for part in ('poses', 'commanded', 'applied'):
            array = getattr(path, part)
            digest.update(array.tobytes())
            tensors[f'{part}.{name}'] = torch.from_numpy(array)
    embeddings: dict[str, list[NDArray[np.float32]]] = {}
    total = sum(len(p.poses) for p in found.values()) + (len(SHIFTED_NOISE) + 1) * len(found['test_0'].poses)
    views, done = shots(protocol, found, seed, scene), 0
    while batch := list(islice(views, _BATCH)):
        images = np.stack([image for _, image in batch])
        digest.update(images.tobytes())
        for (name, _), z in zip(batch, encoder.encode(images)):
            embeddings.setdefault(name, []).append(z)
        done += len(batch)
        report(done / total)
    for name, stack in embeddings.items():
        tensors[f'z.{name}'] = torch.from_numpy(np.stack(stack))
    return tensors, digest.hexdigest()
