"""Encoders trained on a robot's first recorded images and frozen before its model learns."""

from abc import abstractmethod
import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import safetensors
import safetensors.numpy
import torch
from torch import nn

from cls_common import atomic_file
from cls_common.errors import UserError

from . import weights as weight_files
from .encoder import EMBEDDING_SIZE
from .objective import Objective
from .settings import EncoderSettings, RANDOM
from .small_images import SmallImageEncoder
from .torch_encoder import EncoderNetwork

_CONFIG: Final = 'cls.encoder'  # key in the metadata of an encoder file
_EXPECTED: Final = 'a file that `./cls encoder train --output` wrote'


class TrainedEncoder(SmallImageEncoder):
    """Base class of trained encoders. A subclass defines name, backbone and objective.

    The projection is fitted at the end of training: principal components, rotated into an embedding.

    Attributes:
        features: number of features of the backbone.
        directions, whitening: of the projection, see PrincipalProjection.
    """

    features: ClassVar[int]
    directions: ClassVar[int] = 128
    whitening: ClassVar[float] = 0.0

    @classmethod
    @abstractmethod
    def backbone(cls) -> nn.Module:
        """Returns the network from images to features (B, features), by torch's own initialisers."""

    @classmethod
    @abstractmethod
    def objective(cls, backbone: nn.Module, actions: int) -> Objective:
        """Returns the objective that trains the backbone, for actions of this length."""

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(cls.backbone(), nn.Linear(cls.features, EMBEDDING_SIZE))

    @classmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        if settings.weights == RANDOM:
            return super().make(settings, size, modality)
        if not settings.weights:
            raise UserError(
                f'encoder {cls.name} has no weights',
                expected="an encoder trained on the robot's first minutes",
                do='Record some with `./cls run --record --steps 1000`, train with '
                f'`./cls encoder train SESSION --encoder {cls.name} --model NAME`, then use that model.',
            )
        config, weights = read_encoder_file(Path(settings.weights).expanduser())
        if config.get('name') != cls.name:
            raise UserError(f'encoder file {settings.weights}', expected=cls.name, found=str(config.get('name')))
        return cls.load({**config, 'backend': settings.backend}, weights, settings.threads, settings.device)


def write_encoder_file(encoder: TrainedEncoder, path: Path) -> None:
    """Writes an encoder atomically as one safetensors file with its config in the metadata."""
    arrays = safetensors.numpy.load(encoder.weights())
    try:
        atomic_file.write_bytes(path, safetensors.numpy.save(arrays, {_CONFIG: json.dumps(encoder.config())}))
    except OSError as error:
        raise UserError(f'encoder file {path}', expected='a file to write', found=str(error)) from error


def read_encoder_file(path: Path) -> tuple[dict[str, Any], bytes]:
    """Returns config and weights of a file of `write_encoder_file`.

    Raises:
        UserError: no such file, or another kind of file. Damaged weights are found when they are loaded.
    """
    try:
        with safetensors.safe_open(path, framework='numpy') as opened:
            config = json.loads((opened.metadata() or {})[_CONFIG])
            arrays = {name: opened.get_tensor(name) for name in list(opened.keys())}
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f'encoder file {path}', expected=_EXPECTED, found=str(error) or repr(error)) from error
    if not isinstance(config, dict):
        raise UserError(f'encoder file {path}', expected=_EXPECTED, found='no config')
    return config, weight_files.to_bytes(arrays)


@dataclasses.dataclass(frozen=True)
class PrincipalProjection:
    """A projection to the principal directions of features, each scaled by `deviation ** -whitening`.

    Attributes:
        count: number of directions; the others are not predictable.
        whitening: 0 leaves the variances as they are, 1 makes them equal.
    """

    count: int
    whitening: float

    def fit(self, features: torch.Tensor, generator: torch.Generator) -> nn.Linear:
        """Fits features (N, F) and returns the map to 512 dimensions, randomly rotated so that all are used."""
        mean = features.mean(0)
        _, values, directions = torch.linalg.svd(features - mean, full_matrices=False)
        count = min(self.count, len(values))
        deviations = values[:count] / len(features) ** 0.5
        scales = (deviations / deviations[0]).clamp_min(1e-3) ** -self.whitening / deviations[0]
        turn = torch.empty(EMBEDDING_SIZE, count)
        nn.init.orthogonal_(turn, generator=generator)
        linear = nn.Linear(features.shape[1], EMBEDDING_SIZE, device='meta').to_empty(device='cpu')
        with torch.no_grad():
            linear.weight.copy_(turn @ (directions[:count] * scales[:, None]))  # (512, F)
            linear.bias.copy_(-linear.weight @ mean)
        return linear
