"""An encoder: any model of the timm library, by its name.

    ./cls train --encoder timm:vit_tiny_patch16_224
    ./cls train --encoder timm:vit_tiny_patch16_224 --set encoder.weights=model.safetensors

Its weights are the pretrained ones (timm's cache, else a download), or those of a file in timm's own format; with
`encoder.weights=random` they are drawn from the seed. Size, interpolation, mean and deviation of the input are those of
timm's data config. They are saved with the weights and are part of the encoder's id: another release of timm changes
neither.
"""

from dataclasses import dataclass
import difflib
from functools import lru_cache
from typing import Any, ClassVar, Self

import timm
import timm.data
import torch
from torch import nn, Tensor

from cls_common.errors import UserError
from cls_common.registry import split
from cls_common.settings import setting, Settings
from cls_perception import backbones
from cls_perception.encoder import EMBEDDING_SIZE
from cls_perception.settings import EncoderSettings
from cls_perception.torch_encoder import EncoderNetwork, TorchEncoder

ARGUMENT = 'MODEL'


@dataclass(frozen=True, kw_only=True)
class TimmSettings(Settings):
    crop: bool = setting(False, 'Crop images to their centre as in timm; else the whole image is scaled to a square.')


SETTINGS = TimmSettings


class TimmBackbone(nn.Module):
    """A timm model without classifier, float32 (B, 3, H, W) -> (B, F), and how its input is prepared.

    Buffers:
        mean, deviation: float32 (3,), of the channels after scaling to 0..1.
        size: int64 (2,): H, W. resized: int64 (2,): to which an image is scaled before its centre is cropped.
        is_bicubic: int64 (): 0 bilinear, 1 bicubic.
    """

    mean: Tensor
    deviation: Tensor
    size: Tensor
    resized: Tensor
    is_bicubic: Tensor

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.model: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
        data = timm.data.resolve_model_data_config(self.model)
        size = torch.tensor(data['input_size'][1:])
        self.register_buffer('mean', torch.tensor(data['mean'], dtype=torch.float32))
        self.register_buffer('deviation', torch.tensor(data['std'], dtype=torch.float32))
        self.register_buffer('size', size)
        self.register_buffer('resized', size.clone())
        self.register_buffer('is_bicubic', torch.tensor(int(data['interpolation'] == 'bicubic')))
        self.cropped = (size / data['crop_pct']).floor().long()

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model(pixels)
        return features


class TimmEncoder(TorchEncoder):
    """See TorchEncoder. Subclasses for single architectures are made by `_architecture`."""

    name: ClassVar[str] = 'timm'

    @classmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        """Makes an encoder of the architecture that `settings.name` names."""
        if cls is TimmEncoder:
            return _architecture(settings.name).make(settings, size, modality)  # type: ignore[return-value]
        with backbones.seeded(settings.seed):
            encoder = super().make(settings, size, modality)
        own, network = settings.plugins.of(TimmSettings), encoder.network
        backbone: Any = network.backbone
        if own.crop:
            backbone.resized.copy_(backbone.cropped)
        config = {**encoder.config(), 'timm.crop': own.crop}
        return cls(network, config, settings.threads, settings.device)  # the digest is of what is embedded with

    @classmethod
    def load(cls, config: dict[str, Any], weights: bytes, threads: int, device: str) -> Self:
        """See Encoder."""
        if cls is TimmEncoder:
            return _architecture(config['name']).load(config, weights, threads, device)  # type: ignore[return-value]
        with backbones.seeded(0):  # building draws numbers, which the saved weights replace
            return super().load(config, weights, threads, device)

    @classmethod
    def build(cls) -> EncoderNetwork:
        """See TorchEncoder."""
        # Not on the meta device: some models compute buffers that are no part of their weights.
        with torch.device('cpu'):
            backbone = TimmBackbone(split(cls.name)[1])
        features = getattr(backbone.model, 'head_hidden_size', None) or backbone.model.num_features
        return EncoderNetwork(backbone, nn.Linear(features, EMBEDDING_SIZE))

    @classmethod
    def backbone_state(cls, settings: EncoderSettings) -> backbones.State:
        """See TorchEncoder."""
        architecture = split(cls.name)[1]
        pretrained = {} if settings.weights else _pretrained(architecture)
        empty = TimmBackbone(architecture)
        state = pretrained or _from_file(empty, cls.name, settings.weights)
        return {**_buffers(empty), **{f'model.{name}': value for name, value in state.items()}}

    def preprocess(self, x: Tensor) -> Tensor:
        """Scales, crops and normalises: uint8 (B, H, W, 3) -> float32 (B, 3, h, w), as the backbone's buffers say."""
        backbone: Any = self.network.backbone
        mode = 'bicubic' if backbone.is_bicubic else 'bilinear'
        height, width = backbone.size.tolist()
        images = x.to(self._device).permute(0, 3, 1, 2).float()  # (B, 3, H, W)
        target = backbone.resized.tolist()
        if target != [height, width]:  # the shorter side has that length, the longer one stays in proportion
            scale = max(target[0] / images.shape[2], target[1] / images.shape[3])
            target = [max(round(side * scale), least) for side, least in zip(images.shape[2:], (height, width))]
        images = nn.functional.interpolate(images, target, mode=mode, antialias=True).round().clamp(0.0, 255.0)
        top, left = (target[0] - height) // 2, (target[1] - width) // 2
        images = images[:, :, top : top + height, left : left + width] / 255.0
        normal: Tensor = (images - backbone.mean.view(3, 1, 1)) / backbone.deviation.view(3, 1, 1)
        return normal.contiguous(memory_format=self.memory_format)


@lru_cache
def _architecture(name: str) -> type[TimmEncoder]:
    """Returns the class of one architecture, by the whole name `timm:MODEL` or `timm:MODEL.TAG`."""
    model = split(name)[1]
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), 5, 0.5)
        expected = f'a model of timm {timm.__version__}' + (', such as ' + ', '.join(near) if near else '')
        raise UserError(f'encoder {name!r}', expected=expected, found='none of this name')
    # Where there are no pretrained weights, asking for them says so.
    return type('TimmEncoder', (TimmEncoder,), {'name': name, 'published': f'timm {model}'})


def _buffers(backbone: TimmBackbone) -> backbones.State:
    return {name: value for name, value in backbone.state_dict().items() if not name.startswith('model.')}


def _pretrained(architecture: str) -> backbones.State:
    """Returns timm's pretrained weights without classifier, from its cache or by download."""
    try:
        model = timm.create_model(architecture, pretrained=True, num_classes=0)
    except Exception as error:  # of the network, the hub's client or timm, which share no base class
        config = timm.models.get_pretrained_cfg(architecture, allow_unregistered=True)
        source = (config and (config.hf_hub_id or config.url)) or 'none: timm has no weights of it'
        raise UserError(
            f'pretrained weights of timm:{architecture} are not available', expected=f'{source}, cached or downloaded',
            found=f'{type(error).__name__}: {error}',
            do='Connect once; or give a file in timm\'s format (model.safetensors of that place) by '
            '--set encoder.weights=FILE; or draw them by --set encoder.weights=random.',
        ) from error  # fmt: skip
    return dict(model.state_dict())


def _from_file(backbone: TimmBackbone, name: str, path: str) -> backbones.State:
    """Returns the weights of a file without those of the classifier, which a file of timm has and we have not."""
    state = backbones.from_file(name, path)
    classifier = backbone.model.pretrained_cfg.get('classifier') or ()
    heads = (classifier,) if isinstance(classifier, str) else classifier
    known = backbone.model.state_dict()
    return {
        key: value for key, value in state.items()
        if key in known or not key.startswith(tuple(f'{head}.' for head in heads))
    }  # fmt: skip


ENCODER = TimmEncoder
