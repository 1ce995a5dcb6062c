"""Checks of this machine; each is a function that returns findings. No ROS here."""

from collections.abc import Callable

from .devices import cameras, gpu, serial_ports
from .findings import Finding
from .software import interpreter, packages, ros
from .storage import disk, image_weights, log_folder, shared_memory

CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    interpreter,
    ros,
    packages,
    disk,
    log_folder,
    shared_memory,
    image_weights,
    gpu,
    serial_ports,
    cameras,
)
