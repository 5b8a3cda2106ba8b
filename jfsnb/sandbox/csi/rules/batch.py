"""The ConfigMap of a batch upgrade, as the dashboard and kubectl-jfs write it (reference §3.9). Pure."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

KEY = "upgrade"


class BatchError(ValueError):
    """It is no batch upgrade, or has no such batch."""


def mount_pods_of(config_map: Mapping[str, Any], number: int, node: str) -> tuple[str, ...]:
    """Names of the Mount Pods of one batch that are on a node.

    Args:
        number: of the batch, from 1.

    Raises:
        BatchError.
    """
    try:
        packed = (config_map.get("binaryData") or {}).get(KEY)
        text = gzip.decompress(base64.b64decode(packed)) if packed else (config_map.get("data") or {})[KEY]
        batches = json.loads(text)["batches"]
        return tuple(p["name"] for p in batches[number - 1] if p["node"] == node)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BatchError(f"no batch upgrade in ConfigMap {config_map['metadata']['name']}: {error!r}") from error
    except IndexError:
        raise BatchError(f"ConfigMap {config_map['metadata']['name']} has no batch {number}") from None
