"""What is kept between runs: encoded scenes and finished rows, each under a key of everything that it depends on."""

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

from cls_common.errors import UserError
from cls_common.file_lock import lock_error
from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings, RANDOM
from cls_perception.trained_encoder import write_encoder_file

from . import eyes
from .plan import Plan
from .scenes import encode, NOISE
from .world import order, scene_of, World, world_of
from .worlds import simulation

_SCENE_SOURCES = (
    'cls_sim.panorama', 'cls_sim.sceneries', 'cls_sim.noise', 'cls_sim.moving_things', 'cls_sim.worlds.pan_tilt',
    'cls_sim.worlds.room', 'cls_sim.bodies.pan_tilt_body', 'cls_sim.robot', 'cls_sim.faults',
    'cls_bench.learning.scenes', 'cls_perception.backbones', 'cls_perception.torch_encoder',
)  # fmt: skip

# Digests by modules. Handed to every process of a run, so that all agree though somebody edits a file meanwhile.
KNOWN_PROGRAMS: dict[tuple[str, ...], str] = {}


def key_of(value: Any) -> str:
    """Returns 20 hex digits of a plain value's canonical form."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def source_digest(modules: Iterable[str]) -> str:
    """Returns a digest of the programs of modules and packages; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise UserError(f'sources of {name}', expected='an installed module', found='none')
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob('*.py')) if origin.name == '__init__.py' else [origin]
        for file in files:
            if 'nodes' not in file.parts:
                digest.update(_program(file.read_text(encoding='utf-8')).encode())
    return digest.hexdigest()[:20]


def _program(text: str) -> str:
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


def program_digest(modules: tuple[str, ...]) -> str:
    """Returns `source_digest` as it was when it was first asked for: keys do not change while a bench runs."""
    if modules not in KNOWN_PROGRAMS:
        KNOWN_PROGRAMS[modules] = source_digest(modules)
    return KNOWN_PROGRAMS[modules]


def check_encoder(name: str) -> None:
    """Refuses what `make_encoder` can't make.

    Raises:
        UserError: no such encoder or option, or one that takes no single images.
    """
    base, *options = name.split(':')
    kind = encoders.find(base)
    known = {'bf16', 'random' if eyes.is_trained(base) else 'published'}
    if set(options) - known or kind.vectors or kind.frames > 1:
        expected = 'NAME, NAME:bf16, NAME:published, or NAME:random for untrained ones, of an encoder of single images'
        raise UserError(f'encoder {name!r}', expected=expected)


def make_encoder(name: str, seed: int, trained: Path | None = None) -> Encoder:
    """Makes the eyes of a seed, on one thread.

    Args:
        name: of an encoder; `NAME:bf16` computes in bfloat16, `NAME:published` takes torchvision's weights,
            `NAME:random` leaves untrained what else is trained.
        trained: file of the weights of one that is trained.
    """
    base, *options = name.split(':')
    weights = '' if trained is None else str(trained)
    if not weights and 'published' not in options:
        has_published = bool(getattr(encoders.find(base), 'published', ''))
        weights = RANDOM if has_published or 'random' in options else ''
    return encoders.make(EncoderSettings(
        name=base, seed=seed, threads=1, device='cpu', weights=weights,
        backend='torch-bf16' if 'bf16' in options else 'torch',
    ))  # fmt: skip


class Store:
    """A folder of both caches; safe for several processes at once.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ('scenes', 'rows', 'eyes'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def scene_file(self, plan: Plan, seed: int, scene: int, encoder: str) -> Path:
        """Returns where a scene's embeddings lie, or will."""
        base = encoder.partition(':')[0]
        sources = (*_SCENE_SOURCES, f'cls_perception.encoders.{base}', *eyes.SHARED.get(base, ()))
        simulated = simulation(plan, seed, scene, NOISE).to_flat()
        parts = [plan.data(), simulated, seed, scene, encoder, program_digest(sources)]
        if eyes.is_trained(base):
            parts.append(self.eyes_file(plan, seed, encoder).stem)
        return self.folder / 'scenes' / f'{key_of(parts)}.safetensors'

    def eyes_file(self, plan: Plan, seed: int, encoder: str) -> Path:
        """Returns where the trained eyes of a seed lie, or will."""
        base = encoder.partition(':')[0]
        sources = (*_SCENE_SOURCES, f'cls_perception.encoders.{base}', *eyes.SOURCES)
        asked = eyes.settings_of(seed).to_flat()
        simulated = simulation(plan, seed, order(plan, seed)[0], NOISE).to_flat()
        parts = [plan.steps, seed, simulated, base, asked, program_digest(sources), torch.__version__]
        return self.folder / 'eyes' / f'{key_of(parts)}.safetensors'

    def _trained(self, plan: Plan, seed: int, encoder: str, report: Callable[[float], None]) -> Path | None:
        """Trains the eyes of a seed unless that was done before; one process does, the others wait."""
        base, *options = encoder.split(':')
        if not eyes.is_trained(base) or 'random' in options:
            return None
        file = self.eyes_file(plan, seed, encoder)
        with _held(file.with_suffix('.lock')):
            if not file.exists():
                write_encoder_file(eyes.learn(base, plan, seed, report), file)
        return file

    def encode_scene(
        self, plan: Plan, seed: int, scene: int, encoder: str, report: Callable[[float], None] = lambda _: None
    ) -> None:
        """Encodes a scene unless that was done before."""
        file = self.scene_file(plan, seed, scene, encoder)
        if file.exists():
            return
        made = make_encoder(encoder, seed, self._trained(plan, seed, encoder, report))
        tensors, digest = encode(plan, seed, scene, made, report)
        temporary = file.with_name(f'{file.name}.{os.getpid()}')
        save_file(tensors, temporary, {'digest': digest, 'encoder_id': made.id})
        temporary.replace(file)

    def world(self, plan: Plan, seed: int, encoder: str) -> World:
        """Loads an encoded world."""
        scenes = []
        for number in order(plan, seed):
            tensors, digest = _read(self.scene_file(plan, seed, number, encoder))
            scenes.append((scene_of(tensors), digest))
        acts_late = simulation(plan, seed, 0, NOISE).faults.action_lag > 0
        return world_of(seed, scenes, is_one_episode=bool(plan.world), acts_late=acts_late)

    def digest(self, plan: Plan, seed: int, encoder: str) -> str:
        """Returns the hash of an encoded world, and of eyes that were trained for it, without loading it."""
        files = [self.scene_file(plan, seed, number, encoder) for number in order(plan, seed)]
        digests = []
        for file in files:
            with safe_open(file, framework='pt') as opened:
                digests.append(opened.metadata()['digest'])
                if eyes.is_trained(encoder.partition(':')[0]):
                    digests.append(opened.metadata()['encoder_id'])
        return hashlib.sha256(''.join(digests).encode()).hexdigest()

    def read_row(self, key: str) -> dict[str, Any] | None:
        """Returns a finished row's figures, or None."""
        try:
            found: dict[str, Any] = json.loads((self.folder / 'rows' / f'{key}.json').read_text(encoding='utf-8'))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found

    def write_row(self, key: str, figures: dict[str, Any]) -> None:
        """Keeps a finished row's figures."""
        file = self.folder / 'rows' / f'{key}.json'
        temporary = file.with_name(f'{file.name}.{os.getpid()}')
        temporary.write_text(json.dumps(figures, allow_nan=False), encoding='utf-8')
        temporary.replace(file)


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
