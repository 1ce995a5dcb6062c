"""Torchvision's networks and where their weights come from: its cache, a download, a file, or a seed."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import pickle
import socket
from typing import Any, Final
import zipfile

from safetensors import SafetensorError
import safetensors.torch
import torch
from torch import nn

from cls_common.errors import UserError

from . import weights as weight_files

# torch.hub opens its connection without one: a firewall that drops packets would hold the start for ever. s
_DOWNLOAD_TIMEOUT: Final = 20.0

# The restricted unpickler meets garbage with whatever its stack machine trips over.
_GARBAGE: Final = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError)
_UNREADABLE: Final = (*_GARBAGE, OSError, RuntimeError, SafetensorError, zipfile.BadZipFile)

State = dict[str, torch.Tensor]


def classifier(name: str) -> Any:
    """Returns torchvision's network with its default initialisation, classifier included."""
    # Importing it takes four seconds of processor time, which eyes of our own do not need.
    import torchvision

    return torchvision.models.get_model(name, weights=None)


def pooled(name: str) -> nn.Module:
    """Returns the network without its classifier: images or clips -> pooled features."""
    network: Any = classifier(name)
    network.fc = nn.Identity()
    return network  # type: ignore[no-any-return]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Lets torch's own initialisers draw from `seed`; the global generator is as before afterwards.

    Only the CPU's generator is touched: `torch.manual_seed` would also reseed every accelerator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def from_source(name: str, published: str, weights: str) -> State:
    """Returns backbone weights from a file, or the published ones where `weights` is empty.

    Raises:
        UserError: they can't be had or are no weights; there is no falling back.
    """
    state = from_file(name, weights) if weights else from_torchvision(name, published)
    # The classifier is not ours; files of half precision are read as what the id will say: float32.
    backbone = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
        if not key.startswith('fc.')
    }
    weight_files.check_finite({key: value.numpy() for key, value in backbone.items()}, name)
    return backbone


def from_file(name: str, path: str) -> State:
    """Reads a .safetensors file, or one of torch's own by its restricted reader (tensors only, no code)."""
    file = Path(path).expanduser()
    try:
        if file.suffix == '.safetensors':
            state = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location='cpu', weights_only=True)
    except _UNREADABLE as error:
        raise UserError(
            f'weights of {name} from {path}', expected='a .safetensors file or a .pth file of torchvision',
            found=_first_line(error), do="Give another path, or `weights` 'random' for a random backbone.",
        ) from error  # fmt: skip
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(
            f'weights of {name} from {path}', expected='a dictionary of tensors', found=type(state).__name__
        )
    return state


def from_torchvision(name: str, published: str) -> State:
    """Reads published weights from torch's cache, or downloads them into it."""
    import torchvision

    url = torchvision.models.get_model_weights(name)[published].url
    file = Path(torch.hub.get_dir(), 'checkpoints', url.rsplit('/', 1)[1])
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        state: State = torch.hub.load_state_dict_from_url(url, map_location='cpu', progress=False, check_hash=True)
    except _UNREADABLE as error:
        raise UserError(
            f'{published} weights of {name} can not be had',
            expected=f'the file {file}, or a download from {url}', found=_first_line(error),
            do=f'Connect once, copy {file.name} there, give a file by the parameter `weights`, '
            "or choose encoder early_resnet18, which needs none (`weights` 'random': a random backbone).",
        ) from error  # fmt: skip
    finally:
        socket.setdefaulttimeout(before)
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
