"""What every cluster has from its first moment: the roles that people bind, its own Service, and the world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from jfsnb.sandbox.apiserver.schema.resources import DATA
from jfsnb.sandbox.apiserver.storage.registry import Registry

Obj = dict[str, Any]


def bootstrap(registry: Registry, world: Iterable[Obj]) -> None:
    """Load the built-in roles, bindings and Service, then the world's objects as they are."""
    text = (DATA / "bootstrap.yaml").read_text(encoding="utf-8")
    for obj in [*yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), *world]:
        registry.restore(obj)
