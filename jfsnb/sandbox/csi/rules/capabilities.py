"""Which access the driver offers (reference §4.1): mounted file systems in three access modes, no block devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from jfsnb.sandbox.proto import messages as proto
from jfsnb.sandbox.proto.messages import CsiError

Mode = proto.VolumeCapability.AccessMode
MODES = (Mode.SINGLE_NODE_WRITER, Mode.MULTI_NODE_MULTI_WRITER, Mode.MULTI_NODE_READER_ONLY)


def is_supported(capability: Any) -> bool:
    """Whether a volume can be used this way. An access type that is not given counts as mount, as for the driver."""
    return capability.WhichOneof("access_type") != "block" and capability.access_mode.mode in MODES


def check_capability(capability: Any) -> None:
    """Refuse what the driver does not offer."""
    if not is_supported(capability):
        raise CsiError(grpc.StatusCode.INVALID_ARGUMENT, "Volume capability not supported")


def are_supported(capabilities: Iterable[Any]) -> bool:
    return all(map(is_supported, capabilities))


def is_reader(capability: Any) -> bool:
    """Whether a capability allows reading only."""
    return capability.access_mode.mode in (Mode.MULTI_NODE_READER_ONLY, Mode.SINGLE_NODE_READER_ONLY)
