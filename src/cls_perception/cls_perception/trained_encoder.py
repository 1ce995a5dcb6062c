"""Eyes that learn from the robot's own first minutes, and are frozen before it lives with them."""

from abc import abstractmethod
import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import safetensors
import safetensors.numpy
import torch
from torch import nn

from cls_common.errors import UserError

from . import weights as weight_files
from .encoder import EMBEDDING_SIZE
from .objective import Objective
from .settings import EncoderSettings, RANDOM
from .small_images import SmallImageEncoder
from .torch_encoder import Network

_CONFIG: Final = 'cls.encoder'  # key in the metadata of an eyes file


class TrainedEncoder(SmallImageEncoder):
    """Base of encoders with weights of their own making. A subclass names itself, its backbone and its objective.

    The projection is what training ends with: principal components, turned into an embedding.

    Attributes:
        features: length of what the backbone gives.
        directions, whitening: of the projection, see Principal.
    """

    features: ClassVar[int]
    directions: ClassVar[int] = 64
    whitening: ClassVar[float] = 0.0

    @classmethod
    @abstractmethod
    def backbone(cls) -> nn.Module:
        """Returns the network from images to features (B, features), by torch's own initialisers."""

    @classmethod
    @abstractmethod
    def objective(cls, backbone: nn.Module, actions: int) -> Objective:
        """Returns what trains the backbone on actions of that length."""

    @classmethod
    def build(cls) -> Network:
        return Network(cls.backbone(), nn.Linear(cls.features, EMBEDDING_SIZE))

    @classmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        if settings.weights == RANDOM:
            return super().make(settings, size, modality)
        if not settings.weights:
            raise UserError(
                f'encoder {cls.name} has no weights', expected="eyes trained on the robot's own first minutes",
                do='Record some with `./cls run --record --steps 1000`, train with '
                f'`./cls eyes SESSION --encoder {cls.name} --model NAME`, then use that model.',
            )  # fmt: skip
        config, weights = read_eyes(Path(settings.weights).expanduser())
        if config.get('name') != cls.name:
            raise UserError(f'eyes {settings.weights}', expected=cls.name, found=str(config.get('name')))
        return cls.load({**config, 'backend': settings.backend}, weights, settings.threads, settings.device)


def write_eyes(encoder: TrainedEncoder, path: Path) -> None:
    """Writes an encoder as one safetensors file whose metadata hold its config; whole or not at all."""
    arrays = safetensors.numpy.load(encoder.weights())
    temporary = path.with_name(f'{path.name}.tmp')
    try:
        temporary.write_bytes(safetensors.numpy.save(arrays, {_CONFIG: json.dumps(encoder.config())}))
        temporary.replace(path)
    except OSError as error:
        raise UserError(f'eyes {path}', expected='a file to write', found=str(error)) from error


def read_eyes(path: Path) -> tuple[dict[str, Any], bytes]:
    """Returns config and weights of what `write_eyes` wrote.

    Raises:
        UserError: no such file, or none of ours. Damage of the weights is found when they are loaded.
    """
    try:
        with safetensors.safe_open(path, framework='numpy') as opened:
            config = json.loads((opened.metadata() or {})[_CONFIG])
            arrays = {name: opened.get_tensor(name) for name in list(opened.keys())}
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(
            f'eyes {path}', expected='a file that `./cls eyes --out` wrote', found=str(error) or repr(error)
        ) from error
    if not isinstance(config, dict):
        raise UserError(f'eyes {path}', expected='a file that `./cls eyes --out` wrote', found='no config')
    return config, weight_files.to_bytes(arrays)


@dataclasses.dataclass(frozen=True)
class Principal:
    """A projection to the strongest directions of features, each scaled by `deviation ** -whitening`.

    Attributes:
        count: of directions; the others hold what no model predicts.
        whitening: 0 leaves the variances as they are, 1 makes them equal.
    """

    count: int
    whitening: float

    def fit(self, features: torch.Tensor, generator: torch.Generator) -> nn.Linear:
        """Fits features (N, F) and returns the map to 512, turned at random so that all of it is used."""
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
