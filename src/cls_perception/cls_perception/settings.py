"""Settings of encoders and cameras."""

import dataclasses
from typing import Final

from cls_common.registry import Registry
from cls_common.settings import plugin_group, PluginSettings, setting, Settings

ENCODERS: Final = Registry('cls_perception.encoders', 'encoder')
RANDOM = 'random'
BACKENDS = ('torch', 'torch-bf16')


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightSettings(Settings):
    """Source of an encoder's weights and its device: the settings common to node and library."""

    seed: int = setting(0, 'seed of the projection and of random backbones', low=0)
    weights: str = setting(
        '',
        "backbone weights: empty: the published ones (torchvision's cache, else a download), "
        'a path of a .pth or .safetensors file (for trained encoders: a file of `./cls encoder train --output`), '
        "or 'random' for a seeded random backbone",
    )
    backend: str = setting(
        'torch',
        "'torch': float32; 'torch-bf16': bfloat16 in the backbone; part of the encoder's id",
        choices=BACKENDS,
    )
    threads: int = setting(0, "threads of one forward pass; 0: torch's default", low=0, high=256)
    device: str = setting('', 'torch device such as cpu or cuda:0; empty: cuda, else mps, else cpu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSettings(WeightSettings):
    """Settings of a new encoder."""

    name: str = setting(
        'resnet50', 'architecture: the name of a file in cls_perception/encoders, or of one in an installed package'
    )
    plugins: PluginSettings = plugin_group(ENCODERS, 'name')


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings of training an encoder on a robot's first minutes."""

    steps: int = setting(1000, 'optimiser steps', low=1)
    batch_size: int = setting(64, 'steps of the robot in each optimiser step', low=1)
    rate: float = setting(1e-3, 'maximal learning rate of AdamW', low=1e-6, high=1.0)
    light: float = setting(
        0.2, 'largest relative random change of each colour channel, as by changes of light', low=0.0, high=0.9
    )
    seed: int = setting(0, 'seed of initial weights and of all random draws', low=0)
    threads: int = setting(1, "threads of the trained encoder; 0: torch's default", low=0, high=256)
    device: str = setting('', 'torch device such as cpu or cuda:0; empty: cuda, else mps, else cpu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderNodeSettings(WeightSettings):
    """Parameters of the node `encoder`."""

    encoder: str = setting(
        '',
        "encoder to use; empty: the model's own, or default_encoder for a new model; "
        'a model that was made with another one is refused',
    )
    default_encoder: str = setting('resnet50', 'encoder of a new model if `encoder` is empty')
    model: str = setting('default', 'name of the model whose encoder is loaded, if it has one')
    models_dir: str = setting('models', 'folder that holds the models')
    reliable_images: bool = setting(False, 'embed every image, as needed in lock-step simulation')
    modality: str = setting('state', 'observation that a vector encoder embeds')
    plugins: PluginSettings = plugin_group(ENCODERS, 'encoder', 'default_encoder')


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraSettings(Settings):
    """Parameters of the node `camera`."""

    source: str = setting('0', 'index of a camera, path of its device, video file, or folder of images')
    frame_rate: float = setting(
        30.0, "maximal rate of published frames; 0: the source's own", unit='Hz', low=0.0, high=1000.0
    )
    width: int = setting(0, "width requested from the source; 0: the source's own", unit='pixels', low=0, high=16384)
    height: int = setting(0, "height requested from the source; 0: the source's own", unit='pixels', low=0, high=16384)
    loop: bool = setting(True, 'repeat a video file or folder at its end')
    noiseless: bool = setting(
        False, 'accept equal frames, as from a virtual camera; sensors have noise, files are always accepted'
    )
    lock_exposure: bool = setting(
        True, 'fix exposure, gain and white balance after warm-up, since embeddings depend on brightness'
    )
    warm_up: float = setting(
        2.0, 'time for automatic exposure to settle before it is fixed', unit='s', low=0.0, high=60.0
    )
    autostart: bool = setting(True, 'configure and activate at start, without a lifecycle manager')
