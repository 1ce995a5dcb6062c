"""Torchvision's networks and their weights: from its cache, a download, a file, or a seed."""

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

# torch.hub sets no timeout: a firewall that drops packets would block the start forever. s
_DOWNLOAD_TIMEOUT: Final = 20.0

# Exceptions of the restricted unpickler for invalid data.
_UNPICKLING_ERRORS: Final = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError)
_UNREADABLE: Final = (*_UNPICKLING_ERRORS, OSError, RuntimeError, SafetensorError, zipfile.BadZipFile)

State = dict[str, torch.Tensor]


def classifier(name: str) -> Any:
    """Returns torchvision's network with its default initialisation, classifier included."""
    # Importing it takes four seconds of processor time, which the other encoders do not need.
    import torchvision

    return torchvision.models.get_model(name, weights=None)


def pooled(name: str) -> nn.Module:
    """Returns the network without its classifier: images or clips -> pooled features."""
    network: Any = classifier(name)
    network.fc = nn.Identity()
    return network  # type: ignore[no-any-return]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's initialisers inside the context; the global generator is restored afterwards.

    Only the CPU's generator is changed: `torch.manual_seed` would also reseed every accelerator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def from_source(name: str, published: str, weights: str) -> State:
    """Returns backbone weights from a file, or the published ones if `weights` is empty.

    Raises:
        UserError: they are not available or invalid; there is no fallback.
    """
    state = from_file(name, weights) if weights else from_torchvision(name, published)
    # Without the classifier; half precision is converted to float32, as stated in the id.
    backbone = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
        if not key.startswith('fc.')
    }
    weight_files.check_finite({key: value.numpy() for key, value in backbone.items()}, name)
    return backbone


def from_file(name: str, path: str) -> State:
    """Reads a .safetensors file, or a torch file with the restricted reader (tensors only, no code)."""
    file = Path(path).expanduser()
    try:
        if file.suffix == '.safetensors':
            state = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location='cpu', weights_only=True)
    except _UNREADABLE as error:
        raise UserError(
            f'weights of {name} from {path}',
            expected='a .safetensors file or a .pth file of torchvision',
            found=_first_line(error),
            do="Give another path, or `weights` 'random' for a random backbone.",
        ) from error
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
            f'{published} weights of {name} are not available',
            expected=f'the file {file}, or a download from {url}',
            found=_first_line(error),
            do=f'Connect once, copy {file.name} there, give a file by the parameter `weights`, '
            "or choose encoder retina, which needs none (`weights` 'random': a random backbone).",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
