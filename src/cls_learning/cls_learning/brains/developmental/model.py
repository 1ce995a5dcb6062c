"""The model of the brain `developmental`: an autoencoder and a predictor with their losses."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

from ...registries import DEVELOPMENTAL_NETWORKS
from .networks.action_classifier import ActionClassifier
from .networks.contract import Autoencoder, Predictor
from .picture_losses import chosen, output_at_mean, PICTURE_LOSSES, picture_of
from .settings import DevelopmentalSettings

# A rollout whose error is above this share of that of a constant picture has lost it.
_LOST = 0.8


class Steps(NamedTuple):
    """Consecutive pictures and the actions between them.

    Attributes:
        pictures: float32 (B, K + 1, 3, H, W) in 0..1. actions: float32 (B, K, A) in -1..1.
    """

    pictures: Tensor
    actions: Tensor

    def last(self, context: int) -> 'Steps':
        """Returns the newest steps, of `context` pictures and the one after."""
        return Steps(self.pictures[:, -context - 1 :], self.actions[:, -context:])


class Losses(NamedTuple):
    """Losses of predictions, 0-d: of pictures, tokens and actions, and their weighted sum."""

    picture: Tensor
    latent: Tensor
    action: Tensor
    total: Tensor

    def metrics(self) -> dict[str, float]:
        """Returns them as numbers by name."""
        names = ('predictor_patch_loss', 'predictor_latent_loss', 'predictor_action_loss', 'predictor_training_loss')
        return {name: float(value.detach()) for name, value in zip(names, self)}


def to_pictures(images: Tensor) -> Tensor:
    """Returns pictures float32 (..., 3, H, W) in 0..1 of images uint8 (..., H, W, 3)."""
    return images.movedim(-1, -3).float() / 255.0


class DevelopmentalModel(nn.Module):
    """Autoencoder and predictor, and the loss by which pictures are compared, chosen at the first picture.

    Args:
        candidates: all actions of the robot, or some that cover them, float32 (K, A) in -1..1. seed: of all weights.
    """

    def __init__(self, settings: DevelopmentalSettings, candidates: Tensor, seed: int) -> None:
        super().__init__()
        self._settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            own = settings.network
            self.autoencoder: Autoencoder = DEVELOPMENTAL_NETWORKS.find(own.autoencoder).make_autoencoder(own)
            self.predictor: Predictor = DEVELOPMENTAL_NETWORKS.find(own.predictor).make_predictor(
                own, self.autoencoder, candidates.shape[1]
            )
            self.classifier = ActionClassifier(len(candidates)) if settings.loss.action else None
        self.candidates = candidates
        # Index of the loss in PICTURE_LOSSES, -1 before the first picture.
        self.register_buffer('loss_index', torch.tensor(-1))

    loss_index: Tensor

    def parts(self) -> dict[str, nn.Module]:
        """Returns the networks by name, each trained by an optimiser of its own."""
        found: dict[str, nn.Module] = {'autoencoder': self.autoencoder, 'predictor': self.predictor}
        return found | ({'classifier': self.classifier} if self.classifier is not None else {})

    @property
    def context(self) -> int:
        """Pictures from which the next one is predicted."""
        return min(self.predictor.context, self._settings.network.context)

    @property
    def loss(self) -> str:
        """The name of the loss of pictures; the squared error before the first picture."""
        return list(PICTURE_LOSSES)[max(int(self.loss_index), 0)]

    @property
    def is_begun(self) -> bool:
        """Whether the first picture has been seen."""
        return int(self.loss_index) >= 0

    def begin(self, picture: Tensor) -> None:
        """Chooses the loss by the first picture (1, 3, H, W), and lets the decoder begin at its mean."""
        name = chosen(self._settings.loss.picture, picture)
        self.loss_index.fill_(list(PICTURE_LOSSES).index(name))
        self.autoencoder.begin_at(output_at_mean(name, picture))

    def compare(self, output: Tensor, picture: Tensor) -> Tensor:
        """Returns the loss, 0-d, of what a decoder gave, against a picture, both (B, 3, H, W)."""
        return PICTURE_LOSSES[self.loss](output, picture)

    def draw(self, tokens: Tensor) -> Tensor:
        """Returns pictures (B, 3, H, W) of tokens (B, N, D)."""
        return picture_of(self.loss, self.autoencoder.decode(tokens))

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """Returns pictures (B, 3, H, W) as they are after coding and decoding, nothing hidden."""
        return self.draw(self.autoencoder.encode(pictures))

    def history(self, steps: Steps) -> Tensor:
        """Returns the tokens (B, C, N, D) of all pictures but the last; only those of the newest with gradient."""
        *older, newest = steps.pictures[:, :-1].unbind(1)
        with torch.no_grad():
            coded = [self.autoencoder.encode(picture) for picture in older]
        return torch.stack([*coded, self.autoencoder.encode(newest)], 1)

    def reconstruction_loss(self, pictures: Tensor, hidden: float, generator: np.random.Generator) -> Tensor:
        """Returns the loss of pictures of which a share is hidden; all patches count."""
        return self.compare(self.autoencoder.reconstruct(pictures, hidden, generator), pictures)

    def prediction_losses(self, steps: Steps, generator: np.random.Generator, rollout: int = 1) -> Losses:
        """Returns the losses of the last steps, each predicted from the one predicted before.

        Each row is predicted by one member, drawn at random, so that members differ where they have not learned. A
        rollout ends where it has lost the picture: from there on the best prediction would be a blank one. Gradients
        do not pass from one step to the one before, which would learn to be vague.

        Args:
            rollout: K, steps that are predicted, the first from the pictures before.
        """
        own = self._settings.loss
        tokens = self._before(steps, rollout)
        context = len(tokens)
        sums, count = [torch.zeros(()) for _ in range(3)], 0
        for end in range(steps.actions.shape[1] - rollout + 1, steps.actions.shape[1] + 1):
            member = torch.from_numpy(generator.integers(self.predictor.members, size=len(steps.actions)))
            found = self.predictor.by_member(
                torch.stack(tokens[-context:], 1), steps.actions[:, end - context : end], member
            )
            output, target = self.autoencoder.decode(found), steps.pictures[:, end]
            losses = self._losses(found, output, steps, end)
            count += len(target)
            sums = [total + len(target) * loss for total, loss in zip(sums, losses, strict=True)]
            if end < steps.actions.shape[1]:
                is_on = _share_of_constant(picture_of(self.loss, output), target) < _LOST
                if not is_on.any():
                    break
                tokens = [each[is_on] for each in (*tokens[-context:], self.following(found, output).detach())]
                steps = Steps(steps.pictures[is_on], steps.actions[is_on])
        picture, latent, action = (each / count for each in sums)
        return Losses(picture, latent, action, picture + own.latent * latent + own.action * action)

    def _before(self, steps: Steps, count: int) -> list[Tensor]:
        """Returns the tokens (B, N, D) of the pictures that are known before the last `count` actions, oldest first."""
        known = steps.actions.shape[1] - count + 1
        first = max(0, known - self.context)
        return list(self.history(Steps(*(part[:, first : part.shape[1] - count + 1] for part in steps))).unbind(1))

    def _losses(self, found: Tensor, output: Tensor, steps: Steps, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the losses of pictures, tokens and actions, 0-d, of the predictions of one step."""
        own, target = self._settings.loss, steps.pictures[:, end]
        latent = (found - self._target(target)).square().mean() if own.latent else torch.zeros(())
        action = torch.zeros(())
        if self.classifier is not None:
            scores = self.classifier(picture_of(self.loss, output), steps.pictures[:, end - 1])
            action = nn.functional.cross_entropy(scores, self._number(steps.actions[:, end - 1]))
        return self.compare(output, target), latent, action

    def _number(self, actions: Tensor) -> Tensor:
        """Returns the number of the candidate that is nearest to each action (B, A)."""
        return torch.cdist(actions, self.candidates).argmin(1)

    def following(self, tokens: Tensor, output: Tensor) -> Tensor:
        """Returns the tokens by which a rollout goes on after predicted tokens and what they decode to.

        A picture that is coded again is limited to 0..1, else errors beyond what a picture can have grow at each step.
        """
        if self._settings.network.rollout == 'tokens':
            return tokens
        return self.autoencoder.encode(picture_of(self.loss, output).clamp(0.0, 1.0))

    def _target(self, picture: Tensor) -> Tensor:
        if not self._settings.loss.detaches_target:
            return self.autoencoder.encode(picture)
        with torch.no_grad():
            return self.autoencoder.encode(picture)

    def predict(self, steps: Steps) -> Tensor:
        """Returns the tokens (B, N, D) predicted after the last action; the last picture is not used."""
        steps = steps.last(min(self.context, steps.actions.shape[1]))
        tokens: Tensor = self.predictor(self.history(steps), steps.actions).tokens
        return tokens

    def roll(self, steps: Steps, count: int) -> Tensor:
        """Returns the pictures (B, count, 3, H, W) predicted for the last `count` actions, each from the one before."""
        tokens = self._before(steps, count)
        context = len(tokens)
        pictures = []
        for end in range(steps.actions.shape[1] - count + 1, steps.actions.shape[1] + 1):
            found = self.predictor(torch.stack(tokens[-context:], 1), steps.actions[:, end - context : end]).tokens
            output = self.autoencoder.decode(found)
            pictures.append(picture_of(self.loss, output))
            tokens.append(self.following(found, output))
        return torch.stack(pictures, 1)

    def sweep(self, steps: Steps, candidates: Tensor) -> Tensor:
        """Returns the pictures (E, K, 3, H, W) that each member predicts for K actions (K, A) in place of the last one.

        Args:
            steps: of one history, B = 1.
        """
        steps = steps.last(min(self.context, steps.actions.shape[1]))
        found = self.predictor.sweep(self.history(steps), steps.actions[:, :-1], candidates)
        return torch.stack([self.draw(member) for member in found])


@torch.no_grad()
def _share_of_constant(predicted: Tensor, picture: Tensor) -> Tensor:
    """Returns the squared error of each row as a share of that of the picture's mean colour, (B,)."""
    constant = picture.var((2, 3), correction=0).mean(1)
    return (predicted - picture).square().mean((1, 2, 3)) / constant.clamp(min=1e-9)
