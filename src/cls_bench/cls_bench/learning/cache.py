"""Cache of the benchmarks: encoded scenes, trained encoders and metrics, each under a key of all its inputs."""

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
import torch

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_common.file_lock import lock_error
from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings, RANDOM
from cls_perception.trained_encoder import write_encoder_file

from . import encoder_training
from .environment import Environment, environment_of, order, scene_of
from .named_environments import simulation
from .protocol import StreamProtocol
from .scene_data import encode, NOISE

_SCENE_SOURCES = (
    'cls_sim.panorama',
    'cls_sim.sceneries',
    'cls_sim.noise',
    'cls_sim.moving_things',
    'cls_sim.worlds.pan_tilt',
    'cls_sim.worlds.room',
    'cls_sim.bodies.pan_tilt_body',
    'cls_sim.robot',
    'cls_sim.faults',
    'cls_bench.learning.scene_data',
    'cls_perception.backbones',
    'cls_perception.torch_encoder',
)

# Source digests by modules, passed to every process of a run: an edit during a run must not change keys.
KNOWN_DIGESTS: dict[tuple[str, ...], str] = {}


def key_of(value: Any) -> str:
    """Returns 20 hex digits: the hash of a plain value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def source_digest(modules: Iterable[str]) -> str:
    """Returns a hash of the syntax trees of modules and packages, without comments, docstrings and layout."""
    digest = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise UserError(f'sources of {name}', expected='an installed module', found='none')
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob('*.py')) if origin.name == '__init__.py' else [origin]
        for file in files:
            if 'nodes' not in file.parts:
                digest.update(_syntax_tree(file.read_text(encoding='utf-8')).encode())
    return digest.hexdigest()[:20]


def _syntax_tree(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        match node:
            case ast.Module(body=[ast.Expr(value=ast.Constant()), *rest]):
                node.body = rest
            case ast.ClassDef(body=[ast.Expr(value=ast.Constant()), *rest]):
                node.body = rest
            case ast.FunctionDef(body=[ast.Expr(value=ast.Constant()), *rest]):
                node.body = rest
    return ast.dump(tree)


def known_digest(modules: tuple[str, ...]) -> str:
    """Returns `source_digest` as of its first call: keys do not change during a run."""
    if modules not in KNOWN_DIGESTS:
        KNOWN_DIGESTS[modules] = source_digest(modules)
    return KNOWN_DIGESTS[modules]


def check_encoder(name: str) -> None:
    """Checks the name of an encoder before a run.

    Raises:
        UserError: unknown encoder or option, or an encoder that does not take single images.
    """
    base, *options = name.split(':')
    kind = encoders.find(base)
    known = {'bf16', 'random' if encoder_training.is_trained(base) else 'published'}
    if set(options) - known or kind.vectors or kind.frames > 1:
        expected = 'NAME, NAME:bf16, NAME:published, or NAME:random for untrained ones, of an encoder of single images'
        raise UserError(f'encoder {name!r}', expected=expected)


def make_encoder(name: str, seed: int, trained: Path | None = None) -> Encoder:
    """Makes the encoder of a seed, on one thread.

    Args:
        name: of an encoder; `NAME:bf16` computes in bfloat16, `NAME:published` takes torchvision's weights,
            `NAME:random` leaves a trained kind untrained.
        trained: file of the weights of a trained encoder.
    """
    base, *options = name.split(':')
    weights = '' if trained is None else str(trained)
    if not weights and 'published' not in options:
        has_published = bool(getattr(encoders.find(base), 'published', ''))
        weights = RANDOM if has_published or 'random' in options else ''
    return encoders.make(
        EncoderSettings(
            name=base,
            seed=seed,
            threads=1,
            device='cpu',
            weights=weights,
            backend='torch-bf16' if 'bf16' in options else 'torch',
        )
    )


class BenchCache:
    """Cache folder; safe for several processes at once.

    Args:
        folder: created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ('scenes', 'metrics', 'encoders'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def scene_file(self, protocol: StreamProtocol, seed: int, scene: int, encoder: str) -> Path:
        """Returns the file of a scene's embeddings, existing or not."""
        base = encoder.partition(':')[0]
        sources = (*_SCENE_SOURCES, f'cls_perception.encoders.{base}', *encoder_training.SHARED.get(base, ()))
        simulated = simulation(protocol, seed, scene, NOISE).to_flat()
        parts = [protocol.data(), simulated, seed, scene, encoder, known_digest(sources)]
        if encoder_training.is_trained(base):
            parts.append(self.encoder_file(protocol, seed, encoder).stem)
        return self.folder / 'scenes' / f'{key_of(parts)}.safetensors'

    def encoder_file(self, protocol: StreamProtocol, seed: int, encoder: str) -> Path:
        """Returns the file of a seed's trained encoder, existing or not."""
        base = encoder.partition(':')[0]
        sources = (*_SCENE_SOURCES, f'cls_perception.encoders.{base}', *encoder_training.SOURCES)
        asked = encoder_training.settings_of(seed).to_flat()
        simulated = simulation(protocol, seed, order(protocol, seed)[0], NOISE).to_flat()
        parts = [protocol.steps, seed, simulated, base, asked, known_digest(sources), torch.__version__]
        return self.folder / 'encoders' / f'{key_of(parts)}.safetensors'

    def _trained(
        self, protocol: StreamProtocol, seed: int, encoder: str, report: Callable[[float], None]
    ) -> Path | None:
        """Returns the file of a seed's trained encoder, trained if missing; None if its kind is not trained.

        One process trains, the others wait for its lock.
        """
        base, *options = encoder.split(':')
        if not encoder_training.is_trained(base) or 'random' in options:
            return None
        file = self.encoder_file(protocol, seed, encoder)
        with _held(file.with_suffix('.lock')):
            if not file.exists():
                write_encoder_file(encoder_training.learn(base, protocol, seed, report), file)
        return file

    def encode_scene(
        self,
        protocol: StreamProtocol,
        seed: int,
        scene: int,
        encoder: str,
        report: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Encodes a scene if it is not in the cache."""
        file = self.scene_file(protocol, seed, scene, encoder)
        if file.exists():
            return
        made = make_encoder(encoder, seed, self._trained(protocol, seed, encoder, report))
        tensors, digest = encode(protocol, seed, scene, made, report)
        temporary = file.with_name(f'{file.name}.{os.getpid()}')
        save_file(tensors, temporary, {'digest': digest, 'encoder_id': made.id})
        atomic_file.publish(temporary, file)

    def environment(self, protocol: StreamProtocol, seed: int, encoder: str) -> Environment:
        """Loads an encoded environment."""
        scenes = []
        for number in order(protocol, seed):
            tensors, digest = _read(self.scene_file(protocol, seed, number, encoder))
            scenes.append((scene_of(tensors), digest))
        acts_late = simulation(protocol, seed, 0, NOISE).faults.action_lag > 0
        return environment_of(seed, scenes, is_one_episode=bool(protocol.environment), acts_late=acts_late)

    def digest(self, protocol: StreamProtocol, seed: int, encoder: str) -> str:
        """Returns the hash of an encoded environment and of its trained encoder, without loading it."""
        files = [self.scene_file(protocol, seed, number, encoder) for number in order(protocol, seed)]
        digests = []
        for file in files:
            with safe_open(file, framework='pt') as opened:
                digests.append(opened.metadata()['digest'])
                if encoder_training.is_trained(encoder.partition(':')[0]):
                    digests.append(opened.metadata()['encoder_id'])
        return hashlib.sha256(''.join(digests).encode()).hexdigest()

    def read_metrics(self, key: str) -> dict[str, Any] | None:
        """Returns stored metrics, or None."""
        try:
            found: dict[str, Any] = json.loads((self.folder / 'metrics' / f'{key}.json').read_text(encoding='utf-8'))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found

    def write_metrics(self, key: str, metrics: dict[str, Any]) -> None:
        """Stores metrics."""
        file = self.folder / 'metrics' / f'{key}.json'
        temporary = file.with_name(f'{file.name}.{os.getpid()}')
        temporary.write_text(json.dumps(metrics, allow_nan=False), encoding='utf-8')
        atomic_file.publish(temporary, file)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Waits for a lock and holds it."""
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise lock_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _read(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    with safe_open(file, framework='pt') as opened:
        tensors = {name: opened.get_tensor(name) for name in list(opened.keys())}
        return tensors, opened.metadata()['digest']
