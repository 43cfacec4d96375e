# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a guest; each message says what was seen and, where one can, what to do."""


class VmError(Exception):
    """Any failure of the tool itself, as opposed to one of the command in the guest."""


class MissingPart(VmError):
    """A program or file that a guest is made of is not on this machine."""

    def __init__(self, what: str):
        super().__init__(f"{what}; run scripts/setup --for vm")


class BootFailed(VmError):
    """The guest did not come up. The message ends with the last lines of its console."""


class GuestGone(VmError):
    """The guest, or its vsock device, stopped while it was in use."""
