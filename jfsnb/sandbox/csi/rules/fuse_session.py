"""What a Mount Pod's object says of handing on its FUSE session (fuse-handover §2, §3, §12). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver.mountpods.pod_state import passes_fuse
from jfsnb.driver.settings.publication import Json

DISABLED = "DISABLE_GRACE_UPGRADE"
SESSION_ID, STATE_PATH = "_JFS_META_SID", "_FUSE_STATE_PATH"


def can_hand_on(pod: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    """Whether the driver believes that a Mount Pod's client hands on its FUSE descriptor (judged by the image's name).

    Args:
        env: of the CSI node.
    """
    return passes_fuse(pod, env.get(DISABLED) == "true")


def continuing(pod: Json, session: str, state_path: str) -> Json:
    """A Mount Pod whose client goes on with the session and the open files of the one before.

    Args:
        session: id in the metadata engine. state_path: where the open files are written down; both may be unknown.
    """
    container, *others = pod["spec"]["containers"]
    env = [e for e in container.get("env") or () if e["name"] not in (SESSION_ID, STATE_PATH)]
    env += [{"name": n, "value": v} for n, v in ((SESSION_ID, session), (STATE_PATH, state_path)) if v]
    return {**pod, "spec": {**pod["spec"], "containers": [{**container, "env": env}, *others]}}
