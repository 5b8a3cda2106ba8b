"""The exact answer to "would the next mount use this Mount Pod": the hash that the driver would compute (§3.1, §9).

It needs the settings that the driver keeps in its Secret, which hold credentials: they come in, only a hash goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver import images
from jfsnb.driver.config.merging import ImageDecision, MergedPatch
from jfsnb.driver.golang.decoding import unmarshal
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.hash import SETTINGS, settings_hash
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import requested
from jfsnb.driver.settings.publication import laid_over
from jfsnb.errors import ConfigInvalid

Obj = Mapping[str, Any]
#: What the volume's Secret, and nothing else, says of the kept settings.
_FROM_SECRET = (
    *("IsCe", "UsePod", "name", "metaurl", "source", "storage", "format-options", "secret-key", "secret-key2", "token"),
    *("passphrase", "envs_map", "encrypt_rsa_key", "configs_map", "UniqueId", "FormatCmd", "SecretName"),
)


@dataclass(frozen=True)
class NextMount:
    """What the next publish of a volume on a node starts from, besides the kept settings.

    Args:
        pv: of the volume. pvc: its claim; None when not known.
        csi_pod: CSI node Pod of the node. namespace: of the Mount Pods. env: of the CSI node, as far as known.
        merged: config.yaml's entries for the PVC and node. decision: the image.
        running_options: of the Mount Pod in question; the next mount is taken to be as read-only as that.
        fs_uuid: of the file system, where a Mount Pod's annotation tells it: the first publication knew none yet.
    """

    pv: Obj
    pvc: Obj | None
    csi_pod: Obj
    namespace: str
    merged: MergedPatch
    decision: ImageDecision
    env: Mapping[str, str] = field(default_factory=dict)
    running_options: tuple[str, ...] = ()
    fs_uuid: str = ""


def next_hash(kept: str, mount: NextMount) -> str:
    """Label ``juicefs-hash`` of a Mount Pod that fits the next mount.

    Where nothing shows the driver's default image (``ImageDecision.certain``), it is taken to be what it was.

    Args:
        kept: ``jfsSettings`` of the driver-made Secret: what no other object tells (credentials, format command).

    Raises:
        ConfigInvalid: the settings cannot be worked out; says nothing of their content.
    """
    try:
        settings = unmarshal(kept, SETTINGS)
        told = {name: settings[name] for name in _FROM_SECRET if name in settings}
        told["UUID"] = settings.get("UUID") or mount.fs_uuid
        return settings_hash(expected(told, mount, _default_image(settings, mount)))
    except (ValueError, TypeError, AttributeError, KeyError, ConfigInvalid):
        raise ConfigInvalid("the driver's Secret does not hold what this driver version should keep there") from None


def expected(told: Mapping[str, Any], mount: NextMount, image: str) -> dict[str, Any]:
    """The settings of the next mount: everything anew but what only the Secret knows (§2.5).

    Args:
        told: what is known of the volume's Secret, at least ``IsCe``. image: the driver's default.

    Raises:
        SettingsError: the driver would refuse to mount.
    """
    spec = mount.pv.get("spec") or {}
    csi = spec.get("csi") or {}
    annotations = ((mount.pvc or {}).get("metadata") or {}).get("annotations") or {}
    host = Host("", mount.namespace, mount.csi_pod, mount.env)
    context = volume_context(csi.get("volumeAttributes") or {}, annotations, host.unsafe_annotations)
    flags = spec.get("mountOptions") or ()
    asked = requested(context, flags, _is_read_only(context, flags, mount.running_options))
    return laid_over({**told, "Options": asked}, context, host, mount.merged.fields, image)


def visible(mount: NextMount, is_ce: bool) -> dict[str, Any]:
    """The settings of the next mount without what the volume's Secret says; empty when the driver would refuse them."""
    try:
        return expected({"IsCe": is_ce}, mount, mount.decision.image)
    except ConfigInvalid:
        return {}


def _is_read_only(context: Mapping[str, str], flags: Iterable[str], running: Iterable[str]) -> bool:
    """Whether the running client is read-only for another reason than the volume's own options."""
    own = [option.strip() for option in requested(context, flags, False)]
    return list(running).count("ro") > own.count("ro")


def _default_image(kept: Mapping[str, Any], mount: NextMount) -> str:
    """The driver's own image may set its default where nobody sees it."""
    shown = images.env_image(mount.env, bool(kept.get("IsCe")))[0]
    if shown or mount.decision.certain:
        return shown or mount.decision.image
    return str((kept.get("Attr") or {}).get("Image") or mount.decision.image)
