"""Embeddings of the camera image at every pose of an environment, encoded once and cached."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
import os
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
import torch
from torch import Tensor

from cls_learning.randomness import stream
from cls_sim.noise import Image, NoiseBank
from cls_sim.panorama import generate
from cls_sim.worlds.pan_tilt import SIDE
from cls_sim.worlds.room import PIXELS_PER_DEGREE, VIEW_DEG

from ..learning.cache import check_encoder, key_of, known_digest, make_encoder
from ..learning.scene_data import NOISE
from .environments import GridEnvironment, SCREEN_DEG

ENCODER: Final = 'early_resnet18'
# A cheap encoder of this benchmark: the view in 13 x 13 pixels, 507 numbers, in which noise is not averaged away.
THUMBNAIL: Final = 'thumbnail'
_THUMBNAIL_SIDE: Final = 13
# Frames of noise that are encoded for each pose with the screen in view; a walk draws one at each step.
FRAMES: Final = 4
# Finer noise is averaged away by `early_resnet18`: blocks of 2.5 degrees change an embedding a sixth as much as a
# 10-degree move does, blocks of 10 degrees half as much again.
_BLOCK_DEG: Final = 10.0
# A generated panorama has 40 things; larger environments are several of them side by side.
_PANEL_DEG: Final = (240.0, 125.0)
_BATCH: Final = 16
_SOURCES: Final = (
    'cls_sim.panorama',
    'cls_sim.noise',
    'cls_bench.curiosity.views',
    'cls_bench.curiosity.environments',
    'cls_perception.backbones',
    'cls_perception.torch_encoder',
)


@dataclass(frozen=True)
class Views:
    """Embeddings of an environment.

    Attributes:
        plain: float32 (poses of pan, of tilt, D). noisy: float32 (N, FRAMES, D), of poses with the screen in view.
        screen: int64 (pan, tilt), index into `noisy` of poses with the screen in view, else -1.
    """

    plain: Tensor
    noisy: Tensor
    screen: Tensor

    def see(self, pan: int, tilt: int, frame: int) -> Tensor:
        """Returns the embedding at a pose, float32 (D,); `frame` selects the frame of noise."""
        place = int(self.screen[pan, tilt])
        return self.plain[pan, tilt] if place < 0 else self.noisy[place, frame % FRAMES]


class SceneRenderer:
    """Renders one scene of an environment."""

    def __init__(self, environment: GridEnvironment, seed: int) -> None:
        self._environment, self._seed = environment, seed
        size = [2 * limit + view for limit, view in zip(environment.limits_deg, VIEW_DEG)]
        panels = [int(np.ceil(whole / panel)) for whole, panel in zip(size, _PANEL_DEG)]
        # A pixel more on each side for interpolation.
        width, height = (int(whole / count * PIXELS_PER_DEGREE) + 2 for whole, count in zip(size, panels))
        rows = [
            np.concatenate(
                [
                    generate(np.random.default_rng([seed, x, y]), width, height, PIXELS_PER_DEGREE)
                    for x in range(panels[0])
                ],
                axis=1,
            )
            for y in range(panels[1])
        ]
        self._panorama = np.concatenate(rows)
        self._noise = NoiseBank.gaussian(SIDE * SIDE * 3, NOISE, seed, 2)

    def view(self, index: NDArray[np.int64], frame: int = -1) -> Image:
        """Returns the image at a pose (2,), uint8 (224, 224, 3); `frame`: of the screen's noise, -1: no screen."""
        pose = self._environment.degrees(index)
        scale = np.array(VIEW_DEG) * PIXELS_PER_DEGREE / SIDE  # panorama pixels per image pixel
        height, width, _ = self._panorama.shape
        middle = np.array([width, height]) / 2 - pose * PIXELS_PER_DEGREE
        corner = middle - scale * SIDE / 2 + scale / 2 - 0.5
        matrix = np.array([[scale[0], 0, corner[0]], [0, scale[1], corner[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = np.asarray(cv2.warpAffine(self._panorama, matrix, (SIDE, SIDE), flags=flags), np.uint8)
        number = (int(index[0]) * self._environment.shape[1] + int(index[1])) * (FRAMES + 1) + frame + 1
        if frame >= 0:
            self._show_screen(image, pose, number)
        return self._noise.add(image, number)

    def _show_screen(self, image: Image, pose: NDArray[np.float64], number: int) -> None:
        per_degree = SIDE / np.array(VIEW_DEG)
        columns, rows = (round(side / _BLOCK_DEG) for side in SCREEN_DEG)
        blocks = stream(self._seed, 'bench.curiosity.noise', number).integers(0, 256, (rows, columns, 3), np.uint8)
        size = np.rint(np.array(SCREEN_DEG) * per_degree).astype(int)
        picture = cv2.resize(blocks, (int(size[0]), int(size[1])), interpolation=cv2.INTER_NEAREST)
        # Pan to the left and tilt up move the picture right and down.
        middle = SIDE / 2 - (self._environment.screen_deg(self._seed) - pose) * per_degree
        left, top = (int(v) for v in np.rint(middle - size / 2))
        x, y = (slice(max(at, 0), max(at + int(side), 0)) for at, side in zip((left, top), size))
        part = image[y, x]
        part[...] = picture[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]


def check_view_encoder(name: str) -> None:
    """Raises UserError for an unknown encoder."""
    if name != THUMBNAIL:
        check_encoder(name)


def _encoder_function(name: str, seed: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Returns a function from uint8 (B, 224, 224, 3) to float32 (B, D)."""
    if name != THUMBNAIL:
        return make_encoder(name, seed).encode
    size = (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE)

    def shrink(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
        return np.stack(small).reshape(len(small), -1).astype(np.float32) / 255.0

    return shrink


def file_of(folder: Path, environment: GridEnvironment, seed: int, encoder: str) -> Path:
    """Returns the file of the views of an environment, existing or not; environments that look alike share it."""
    own = () if encoder == THUMBNAIL else (f'cls_perception.encoders.{encoder.partition(":")[0]}',)
    key = key_of([environment.limits_deg, environment.has_screen, seed, encoder, known_digest((*_SOURCES, *own))])
    return folder / 'scenes' / f'{key}.safetensors'


def encode(folder: Path, environment: GridEnvironment, seed: int, encoder: str) -> None:
    """Encodes all views of an environment if they are not in the cache."""
    file = file_of(folder, environment, seed, encoder)
    if file.exists():
        return
    renderer, encode_images, looks, found = (
        SceneRenderer(environment, seed),
        _encoder_function(encoder, seed),
        iter(_shots(environment, seed)),
        [],
    )
    while batch := list(islice(looks, _BATCH)):
        found.append(torch.from_numpy(encode_images(np.stack([renderer.view(i, frame) for i, frame in batch]))))
    z = torch.cat(found)
    poses = int(np.prod(environment.shape))
    sees = torch.from_numpy(environment.sees_screen(environment.poses(), seed))
    screen = torch.where(sees, sees.flatten().cumsum(0).view(environment.shape) - 1, -1)
    tensors = {
        'plain': z[:poses].view(*environment.shape, -1),
        'noisy': z[poses:].view(-1, FRAMES, z.shape[1]),
        'screen': screen,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f'{file.name}.{os.getpid()}')
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
    temporary.replace(file)


def _shots(environment: GridEnvironment, seed: int) -> list[tuple[NDArray[np.int64], int]]:
    """Returns every pose without the screen, then poses with it in view, with every frame of noise."""
    poses = environment.poses()
    seeing = poses[environment.sees_screen(poses, seed)]
    return [(i, -1) for i in poses.reshape(-1, 2)] + [(i, frame) for i in seeing for frame in range(FRAMES)]


@lru_cache(maxsize=3)
def load(file: Path) -> Views:
    """Loads encoded views; the last three are kept in memory, up to 100 MB."""
    with safe_open(file, framework='pt') as opened:
        return Views(*(opened.get_tensor(name) for name in ('plain', 'noisy', 'screen')))
