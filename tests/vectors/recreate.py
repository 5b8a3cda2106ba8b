"""Re-creation: the Mount Pod that replaces one that is Completed or deleted while in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import merge
from jfsnb.driver.mountpods import mount_path
from jfsnb.driver.mountpods.recreate import replacement
from jfsnb.driver.settings.driver_secret import KEPT
from jfsnb.driver.settings.errors import DriverPanics
from jfsnb.driver.settings.renewal import Sources, pv_name_of
from tests.vectors.comparing import Refused
from tests.vectors.settings import as_recorded, config_of, host_of

Obj = Mapping[str, Any]


def answer(given: Obj) -> Any:
    """One question of the family, in the driver's shape."""
    config, host, old = config_of(given), host_of(given), given["oldPod"]
    pv = given.get("pv")
    if pv is not None and pv["metadata"]["name"] != pv_name_of(old, host):
        pv = None
    ref = ((pv or {}).get("spec") or {}).get("claimRef")
    pvc = given.get("pvc") if ref else None
    patch = merge(config, pvc, given.get("node")).fields
    secret = given.get("secret") if ref and pv["spec"]["csi"].get("nodePublishSecretRef") else None
    labels = old["metadata"].get("labels") or {}
    is_made = given.get("driverSecretName") == names.secret_name(labels.get(names.VOLUME_ID, ""))
    made = given.get("driverSecret") if is_made else None
    try:
        result = replacement(Sources(old, made, pv, pvc, secret, patch), host, given["newName"])
    except DriverPanics as error:
        raise Refused(error.what) from error
    except mount_path.DriverPanics as error:
        raise Refused(f"panic: {error}") from error
    except ValueError as error:
        raise Refused(str(error)) from error
    found = {
        "pod": as_recorded(result.pod),
        "hash": result.pod["metadata"]["labels"].get(names.HASH, ""),
        "secretWritten": result.secret is not None,
    }
    if result.problem is not None:
        found["settingsError"] = result.problem.what
    if result.settings is not None and result.secret is not None:
        found["settings"] = json.loads(result.secret[KEPT])
        found["secretKeys"] = sorted(result.secret)
    return found
