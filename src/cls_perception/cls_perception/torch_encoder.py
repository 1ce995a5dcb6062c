"""Frozen torchvision backbones as encoders: preprocessing, forward pass, weights and identity."""

from abc import abstractmethod
from collections.abc import Iterator
import contextlib
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn

from cls_common.errors import UserError

from . import backbones
from . import weights as weight_files
from .devices import choose_device
from .encoder import Array, CAMERA, EMBEDDING_SIZE, Encoder
from .settings import BACKENDS, EncoderSettings, RANDOM
from .threads import thread_count

IMAGE_SIZE: Final = 224  # width and height, pixels
_PRECISION: Final = {'torch': 'float32', 'torch-bf16': 'bfloat16'}


class EncoderNetwork(nn.Module):
    """Backbone -> norm -> projection to an embedding; always in evaluation mode, never with gradients."""

    def __init__(self, backbone: nn.Module, projection: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = norm or nn.Identity()
        self.projection = projection


class TorchEncoder(Encoder):
    """Base class of encoders with a torchvision backbone. A subclass defines its name and network.

    Attributes:
        published: torchvision's name of the published weights; empty: always random.
        mean, deviation: of the channels after scaling to 0..1.
        memory_format: the fastest layout for convolutions.
    """

    published: ClassVar[str] = ''
    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    deviation: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)
    memory_format: ClassVar[torch.memory_format] = torch.channels_last

    @classmethod
    @abstractmethod
    def build(cls) -> EncoderNetwork:
        """Returns the network with torch's default initialisation."""

    @classmethod
    def backbone_state(cls, settings: EncoderSettings) -> backbones.State:
        """Returns the weights of the backbone by name: the published ones, or those of the file `settings.weights`.

        Raises:
            UserError: they are not available or invalid.
        """
        return backbones.from_source(cls.name, cls.published, settings.weights)

    @classmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        random = settings.weights == RANDOM or not cls.published
        if random and settings.weights not in ('', RANDOM):
            raise UserError(
                f'encoder {cls.name} has random weights only',
                found=f'weights {settings.weights!r}',
                do='Leave `weights` empty, or choose another encoder.',
            )
        if random:
            with backbones.seeded(settings.seed):
                network = cls.build()
        else:
            network = _with_backbone(cls, cls.backbone_state(settings))
        network.projection = seeded_projection(network.projection, settings.seed)
        origin = RANDOM if random else 'file' if settings.weights else cls.published
        config = {
            'name': cls.name,
            'seed': settings.seed,
            'backend': settings.backend,
            'version': 1,
            'origin': origin,
        }
        return cls(network, config, settings.threads, settings.device)

    @classmethod
    def load(cls, config: dict[str, Any], weights: bytes, threads: int, device: str) -> Self:
        if config.get('backend') not in BACKENDS or not isinstance(config.get('version'), int):
            raise UserError(
                f'config of encoder {cls.name}',
                expected='backend (' + ', '.join(BACKENDS) + ') and version',
                found=f'{config.get("backend")!r} and {config.get("version")!r}',
            )
        arrays = weight_files.from_bytes(weights, config)
        with torch.device('meta'):
            network = cls.build()
        # Copied into torch's aligned memory: arithmetic on unaligned weights may round differently.
        _assign(network, {name: torch.from_numpy(array).clone() for name, array in arrays.items()}, cls.name)
        return cls(network, config, threads, device)

    def __init__(self, network: EncoderNetwork, config: dict[str, Any], threads: int, device: str) -> None:
        self.modality, self.size, self.version = CAMERA, EMBEDDING_SIZE, int(config['version'])
        self._device = choose_device(device)
        self._threads = threads
        self._half = config['backend'] == 'torch-bf16'
        self.network = network.eval().requires_grad_(False)
        digest = weight_files.digest(self._arrays())
        self._config = {**config, 'digest': digest}
        short = digest[: weight_files.ID_DIGITS]
        self.id = f'{self.name}-{short}-torch-{_PRECISION[config["backend"]]}'
        self.network.to(device=self._device)
        self.network.backbone.to(memory_format=self.memory_format)
        shape = (1, 3, 1, 1, 1) if self.frames > 1 else (1, 3, 1, 1)
        self._mean = torch.tensor(self.mean, device=self._device).reshape(shape)
        self._deviation = torch.tensor(self.deviation, device=self._device).reshape(shape)

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def weights(self) -> bytes:
        return weight_files.to_bytes(self._arrays())

    def check(self, x: Array) -> Array:
        return self.check_images(x)

    @torch.inference_mode()
    def embed(self, x: Array) -> NDArray[np.float32]:
        with self._arithmetic():
            batch = self.preprocess(torch.from_numpy(np.require(x, requirements=['C', 'W'])))
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                features = self.network.backbone(batch)
            z = self.network.projection(self.network.norm(features.float()))  # (B, size)
            embeddings: NDArray[np.float32] = z.cpu().numpy()
        return embeddings

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        """Resizes to 224 x 224 without cropping, scales to 0..1, normalises, as in the original visual-motor system.

        Args:
            x: uint8 (B, H, W, 3), or (B, T, H, W, 3) for clips.

        Returns:
            float32 (B, 3, 224, 224), or (B, 3, frames, 224, 224), on the encoder's device.
        """
        if self.frames == 1:
            images = resize(x.to(self._device).permute(0, 3, 1, 2))
        else:
            batch, count = x.shape[:2]
            frames = resize(x.to(self._device).flatten(0, 1).permute(0, 3, 1, 2))
            clips = frames.reshape(batch, count, 3, IMAGE_SIZE, IMAGE_SIZE).permute(0, 2, 1, 3, 4)  # (B, 3, T, ...)
            last = clips[:, :, -1:].expand(-1, -1, self.frames - count, -1, -1)
            images = torch.cat([clips, last], dim=2)
        pixels = images.float().div_(255.0).sub_(self._mean).div_(self._deviation)
        return pixels.contiguous(memory_format=self.memory_format)

    def _arrays(self) -> weight_files.Arrays:
        return {name: tensor.cpu().contiguous().numpy() for name, tensor in self.network.state_dict().items()}

    @contextlib.contextmanager
    def _arithmetic(self) -> Iterator[None]:
        # TF32 would contradict 'float32' in the id.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with thread_count(self._threads), exact:
            yield


def resize(images: torch.Tensor) -> torch.Tensor:
    """Resizes uint8 (B, 3, H, W) to 224 x 224, anti-aliased like PIL."""
    if images.shape[-2:] == (IMAGE_SIZE, IMAGE_SIZE):
        return images
    if images.device.type == 'cpu':
        return nn.functional.interpolate(images, (IMAGE_SIZE, IMAGE_SIZE), mode='bilinear', antialias=True)
    # Accelerators interpolate floats only.
    smooth = nn.functional.interpolate(images.float(), (IMAGE_SIZE, IMAGE_SIZE), mode='bilinear', antialias=True)
    return smooth.round_().clamp_(0.0, 255.0)


def seeded_projection(projection: nn.Module, seed: int) -> nn.Module:
    """Returns the projection with torch's default initialisation of Linear, from a separate generator.

    The projection depends on the seed only, not on the backbone's weights.
    """
    if not isinstance(projection, nn.Linear):
        return projection
    generator = torch.Generator().manual_seed(seed)
    # Made without initialisation, which would draw from the global generator.
    linear = nn.Linear(projection.in_features, projection.out_features, device='meta').to_empty(device='cpu')
    bound = projection.in_features**-0.5
    nn.init.kaiming_uniform_(linear.weight, a=5**0.5, generator=generator)
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
    return linear


def _with_backbone(encoder: type[TorchEncoder], state: backbones.State) -> EncoderNetwork:
    with torch.device('meta'):
        network = encoder.build()
    _assign(network.backbone, state, encoder.name)
    return network


def _assign(module: nn.Module, state: backbones.State, owner: str) -> None:
    weight_files.check_fits(
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()},
        owner,
    )
    module.load_state_dict(state, strict=True, assign=True)
