"""Trains an encoder on the images and actions of a robot's first minutes."""

from collections.abc import Callable
import math
from typing import Any, Final

import torch

from cls_common.errors import UserError

from . import backbones, encoders
from .devices import choose_device
from .objective import ImagePairs, Objective, TrainingBatch
from .settings import ENCODERS, TrainingSettings
from .torch_encoder import EncoderNetwork
from .trained_encoder import PrincipalProjection, TrainedEncoder

MIN_STEPS: Final = 64  # steps; fewer would be memorised
_WARM_UP: Final = 0.05  # share of steps in which the learning rate rises; attention is unstable without
_DECAY: Final = 0.05  # weight decay of He et al. 2022
_CHUNK: Final = 64  # images per forward pass without learning


def find_trainable(name: str) -> type[TrainedEncoder]:
    """Returns the class of a trainable encoder; raises UserError for others."""
    kind = encoders.find(name)
    if not issubclass(kind, TrainedEncoder):
        own = (other for other in ENCODERS.names() if other not in ENCODERS.installed())
        known = ', '.join(other for other in own if issubclass(encoders.find(other), TrainedEncoder))
        raise UserError(f'encoder {name!r} can not be trained', expected=f'one of {known}')
    return kind


def train(
    name: str,
    pairs: ImagePairs,
    settings: TrainingSettings,
    report: Callable[[int, float], None] = lambda *_: None,
    origin: dict[str, Any] | None = None,
) -> TrainedEncoder:
    """Trains an encoder, its backbone by its objective, then its projection on the features of all images.

    One seed, one device and one thread give the same weights.

    Args:
        report: called after every step with its number, from 1, and its loss.
        origin: of the images, plain values for the config.

    Raises:
        UserError: no such encoder, too few steps to learn from, or a loss that is not finite.
    """
    kind = find_trainable(name)
    if len(pairs.before) < MIN_STEPS:
        raise UserError('training of an encoder', expected=f'at least {MIN_STEPS} steps', found=f'{len(pairs.before)}')
    device = choose_device(settings.device)
    draws = torch.Generator().manual_seed(settings.seed)
    with backbones.seeded(settings.seed):
        network = kind.build()
        objective = kind.objective(network.backbone, pairs.actions.shape[1])
        objective.to(device).train()
        # Inside the context: dropout would draw from the global generator.
        _optimise(objective, pairs, settings, draws, device, report)
    _project(network, kind, pairs, draws, device)
    config = {
        'name': name,
        'seed': settings.seed,
        'backend': 'torch',
        'version': 1,
        'origin': 'trained',
        'training': {**settings.to_flat(), 'device': device.type, 'views': len(pairs.images), **(origin or {})},
    }
    return kind(network.cpu(), config, settings.threads, settings.device)


def _optimise(
    objective: Objective,
    pairs: ImagePairs,
    settings: TrainingSettings,
    draws: torch.Generator,
    device: torch.device,
    report: Callable[[int, float], None],
) -> None:
    optimiser = torch.optim.AdamW(objective.parameters(), settings.rate, betas=(0.9, 0.95), weight_decay=_DECAY)
    warm = max(round(_WARM_UP * settings.steps), 1)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, 0.5 * (1.0 + math.cos(math.pi * step / settings.steps)))
    )
    for step in range(1, settings.steps + 1):
        loss = objective.loss(_draw(pairs, settings, draws, device), draws)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        rates.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UserError(
                'training of an encoder',
                expected='a finite loss',
                found=f'{value} at step {step}',
                do='Give a smaller rate.',
            )
        report(step, value)


def _draw(pairs: ImagePairs, settings: TrainingSettings, draws: torch.Generator, device: torch.device) -> TrainingBatch:
    """Draws steps; the brightness of each is changed at random, equally before and after."""
    chosen = torch.randint(len(pairs.before), (settings.batch_size,), generator=draws)
    spread = settings.light
    gain = 1.0 + spread * (2.0 * torch.rand((settings.batch_size, 3, 1, 1), generator=draws) - 1.0)

    def augment(index: torch.Tensor) -> torch.Tensor:
        return (pairs.images[index].float().div_(255.0) * gain).clamp_(0.0, 1.0).to(device)

    return TrainingBatch(augment(pairs.before[chosen]), augment(pairs.after[chosen]), pairs.actions[chosen].to(device))


@torch.inference_mode()
def _project(
    network: EncoderNetwork, kind: type[TrainedEncoder], pairs: ImagePairs, draws: torch.Generator, device: torch.device
) -> None:
    network.eval()
    features = [
        network.backbone(part.float().div(255.0).to(device)).cpu() for part in torch.split(pairs.images, _CHUNK)
    ]
    with torch.inference_mode(False), torch.no_grad():
        network.projection = PrincipalProjection(kind.directions, kind.whitening).fit(
            torch.cat(features).clone(), draws
        )
