"""All kinds of change, by the name under which a journal and a note keep them."""

from __future__ import annotations

from typing import Any

from jfsnb.run.change.client_exchanged import ClientExchanged
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.model import Change
from jfsnb.run.change.nudge import Nudge
from jfsnb.run.change.object_made import ObjectMade

KINDS: dict[str, type[Change]] = {kind.KIND: kind for kind in (ObjectMade, ConfigEntry, Nudge, ClientExchanged)}


def read(data: dict[str, Any]) -> Change:
    """A change from plain data. Raises KeyError or TypeError where it is not one."""
    return KINDS[data["kind"]].from_dict(data)
