"""What can be chosen of encoders and cameras."""

import dataclasses

from cls_common.settings import setting, Settings

RANDOM = 'random'
BACKENDS = ('torch', 'torch-bf16')


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightSettings(Settings):
    """Where an encoder's weights come from and where it computes: the part that node and library share."""

    seed: int = setting(0, 'seed of the projection and of random backbones', low=0)
    weights: str = setting(
        '', "backbone weights: empty: the published ones (torchvision's cache, else a download), "
        "a path of a .pth or .safetensors file (of trained eyes: what `./cls eyes --out` wrote), "
        "or 'random' for a seeded random backbone",
    )  # fmt: skip
    backend: str = setting(
        'torch',
        "'torch': float32; 'torch-bf16': bfloat16 in the backbone; part of the encoder's id",
        choices=BACKENDS,
    )
    threads: int = setting(0, 'threads of one forward pass; 0: as many as torch would use', low=0, high=256)
    device: str = setting('', 'torch device such as cpu or cuda:0; empty: cuda, else mps, else cpu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSettings(WeightSettings):
    """One encoder to be made."""

    name: str = setting('resnet50', 'architecture: the name of a file in cls_perception/encoders')


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How eyes are trained on the robot's own first minutes."""

    steps: int = setting(1000, 'optimiser steps', low=1)
    batch_size: int = setting(64, 'steps of the robot in each', low=1)
    rate: float = setting(1e-3, 'of AdamW at its highest', low=1e-6, high=1.0)
    light: float = setting(0.2, 'largest random change of each colour, as a share: light changes', low=0.0, high=0.9)
    seed: int = setting(0, 'of first weights and of all draws', low=0)
    threads: int = setting(1, 'threads of the trained encoder; 0: as many as torch would use', low=0, high=256)
    device: str = setting('', 'torch device such as cpu or cuda:0; empty: cuda, else mps, else cpu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderNodeSettings(WeightSettings):
    """Parameters of the node `encoder`."""

    encoder: str = setting(
        '', "encoder asked for; empty: the model's own, or default_encoder for a new model; "
        'a model that was made with another one is refused',
    )  # fmt: skip
    default_encoder: str = setting('resnet50', 'encoder of a new model when none is asked for')
    model: str = setting('default', 'name of the model whose encoder is loaded where it has one')
    models_dir: str = setting('models', 'folder that holds the models')
    reliable_images: bool = setting(False, 'every image counts: lock-step simulation')
    modality: str = setting('state', 'observation that a vector encoder listens to')


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraSettings(Settings):
    """Parameters of the node `camera`."""

    source: str = setting('0', 'index of a camera, path of its device, video file, or folder of images')
    frame_rate: float = setting(
        30.0, "frames published each second at most; 0: the source's own", unit='Hz', low=0.0, high=1000.0
    )
    width: int = setting(0, "width asked of the source; 0: the source's own", unit='pixels', low=0, high=16384)
    height: int = setting(0, "height asked of the source; 0: the source's own", unit='pixels', low=0, high=16384)
    loop: bool = setting(True, 'begin a video file or folder again at its end')
    noiseless: bool = setting(
        False, 'equal frames are no fault: a virtual camera; a sensor has noise, files are noiseless anyway'
    )
    lock_exposure: bool = setting(
        True, 'hold exposure, gain and white balance after warm-up: embeddings move with brightness'
    )
    warm_up: float = setting(
        2.0, 'time for automatic exposure to settle before it is locked', unit='s', low=0.0, high=60.0
    )
    autostart: bool = setting(True, 'configure and activate at start, so that no manager is needed')
