# SPDX-License-Identifier: Apache-2.0
"""Boots real guests for the demonstration and the tests. Begin with guest.py."""

from .errors import BootFailed, GuestGone, MissingPart, VmError
from .guest import Description, Guest
from .initramfs import compile_static
from .protocol import GuestProcess
from .qemu import Window

__all__ = [
    "BootFailed",
    "Description",
    "Guest",
    "GuestGone",
    "GuestProcess",
    "MissingPart",
    "VmError",
    "Window",
    "compile_static",
]
