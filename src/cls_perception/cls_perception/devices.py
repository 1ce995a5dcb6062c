"""Choice of the torch device."""

import torch

from cls_common.errors import UserError


def choose_device(name: str) -> torch.device:
    """Returns the named device; without a name cuda, else mps, else cpu. Raises UserError for an unavailable device."""
    if not name:
        name = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f'device {name!r}',
            expected='cpu, or an accelerator that torch finds here',
            found=str(error).splitlines()[0],
            do='Leave `device` empty to have it chosen.',
        ) from error
    if device.type == 'meta':
        raise UserError("device 'meta'", expected='cpu, cuda or mps', do='Leave `device` empty to have it chosen.')
    return device
