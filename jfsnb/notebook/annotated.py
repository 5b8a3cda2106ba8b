"""The smoke Pod line by line: each line of its manifest that matters, as this Pod has it, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: path in the Pod -> what it is for; the smoke test's manifest in the order in which it is read
_FIELDS = (
    ("spec.terminationGracePeriodSeconds", "how long hook and shutdown may take together before SIGKILL"),
    ("spec.tolerations", "it may run on any node, whatever its taints"),
    ("spec.containers.0.image", "the app's image; it says nothing about the client that serves it"),
    ("spec.containers.0.resources", "asks for next to nothing, so that it finds room everywhere"),
    ("spec.containers.0.readinessProbe.exec", "can it write? until this works the Pod is not Ready"),
    ("spec.containers.0.readinessProbe", "from when, how often, and after how many failures"),
    ("spec.containers.0.livenessProbe.exec", "is /jfs still a mount point? if not, the container is restarted"),
    ("spec.containers.0.livenessProbe", "from when, how often, and after how many failures"),
    ("spec.containers.0.volumeMounts", "where the volumes appear; updatedb.conf keeps updatedb out of them"),
    ("spec.volumes", "the claim is all that ties the Pod to storage: no server, no password, no client"),
)
#: beginning of a script's line -> what it does
_SCRIPT = (
    ("set -e", "the first command that fails ends the container: a smoke test must not hide an error"),
    ("if ! mountpoint", "is something mounted at /jfs at all? otherwise the test would write to the node's disk"),
    ("TEST_FILE=", "a name of its own for each run"),
    ("NONCE=", "random bytes: what is read back cannot be left over from an earlier run"),
    ("if cat", "what was written is read back"),
    ("if [", "what was written is read back, and must be the very same"),
    ("rm -f", "it leaves nothing behind"),
    ("while", "then it lives on, so that probes and people can look at it"),
    ("trap", "ends at SIGTERM; a bash without this ignores the signal as PID 1 and lives until SIGKILL"),
    ("exec 1>/proc/1/fd/1", "a hook's output goes nowhere; this sends it to the container's log"),
    ("sync", "what was written leaves the kernel's cache and reaches the client"),
    ("sleep 5", "time for a person who follows the log"),
    ('echo "=== [PRESTOP] Starting', "the hook runs before SIGTERM, while the mount is still there"),
    ('echo "=== [PRESTOP] Note', "the unmount itself comes later, from the CSI driver"),
)


def lines(pod: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of a table: columns part, in_this_pod, what_for.

    Args:
        pod: a smoke Pod's manifest.
    """
    rows = [_row(path.removeprefix("spec.").replace("containers.0.", ""), _at(pod, path), why) for path, why in _FIELDS]
    container = pod["spec"]["containers"][0]
    scripts = (("command", container.get("args")), ("preStop", _at(pod, "spec.containers.0.lifecycle.preStop.exec")))
    for name, script in scripts:
        rows += _script(name, script)
    return [row for row in rows if row["in_this_pod"]]


def _script(name: str, script: Any) -> list[dict[str, str]]:
    text = script.get("command") if isinstance(script, Mapping) else script
    found, seen = [], set()
    for line in str((text or [""])[-1]).splitlines():
        for beginning, why in _SCRIPT:
            if line.strip().startswith(beginning) and why not in seen:
                seen.add(why)
                found.append(_row(name, line.strip(), why))
    return found


def _row(part: str, value: Any, why: str) -> dict[str, str]:
    return {"part": part, "in_this_pod": _words(value), "what_for": why}


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        if set(value) == {"command"}:
            return str(value["command"][-1]).strip()
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items() if key not in ("exec", "name"))
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value)
    return "" if value is None else str(value)


def _at(pod: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(pod, list):
            pod = pod[int(step)] if int(step) < len(pod) else None
        else:
            pod = pod.get(step) if isinstance(pod, Mapping) else None
    return pod
