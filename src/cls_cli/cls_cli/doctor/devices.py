"""Devices of this machine: servo boards, cameras, an accelerator."""

import os
from pathlib import Path

from .findings import Finding, Severity


def serial_ports() -> list[Finding]:
    """Serial ports, and whether we may open them."""
    from cls_servo_driver.ports import find_ports

    found = find_ports()
    if not found:
        return [Finding('serial ports', Severity.NOTE, 'none', 'Plug the servo board in; simulation needs none.')]
    return [
        Finding('serial port', Severity.OK, f'{port.device}  {port.description}')
        if os.access(port.device, os.R_OK | os.W_OK)
        else Finding('serial port', Severity.WRONG, f'{port.device} may not be opened', _join_group('dialout'))
        for port in found
    ]


def cameras(devices: Path = Path('/dev')) -> list[Finding]:
    """Video devices, and whether we may open them."""
    found = sorted(devices.glob('video[0-9]*'))
    if not found:
        return [Finding('cameras', Severity.NOTE, 'none', 'Plug one in; simulation needs none.')]
    return [
        Finding('camera', Severity.OK, str(path))
        if os.access(path, os.R_OK | os.W_OK)
        else Finding('camera', Severity.WRONG, f'{path} may not be opened', _join_group('video'))
        for path in found
    ]


def _join_group(name: str) -> str:
    return f'sudo usermod -aG {name} $USER, then log in again.'


def gpu() -> list[Finding]:
    """An accelerator that PyTorch can use; also whether PyTorch can be imported at all."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Finding('PyTorch', Severity.WRONG, f'cannot be imported: {error}', 'Delete .venv and run ./cls again.')]
    if torch.cuda.is_available():
        return [Finding('GPU', Severity.OK, torch.cuda.get_device_name(0))]
    return [
        Finding('GPU', Severity.NOTE, 'none that PyTorch can use', 'Everything runs on the CPU, sleep takes longer.')
    ]
