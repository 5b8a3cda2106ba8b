"""How each part of a step looks: title and verdict, picture, tables, logs, checks. Works on `Result.to_dict()` data.

The same functions serve a notebook cell and the report, which reads the data from the run folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jfsnb.i18n import say, translated
from jfsnb.views import diagrams, html
from jfsnb.views.intervals import intervals
from jfsnb.views.sequence import csi_sequence
from jfsnb.views.stalls import stalls

Part = Mapping[str, Any]
Data = Mapping[str, Any]


def render(part: Part) -> str:
    """HTML of a part: ``step``, ``part``, ``title``, ``verdict``, ``checks``, ``timeline``, ``data``."""
    draw = _BODIES.get(part["part"], _anything)
    body = draw(part["data"])
    return (
        f'<div style="font-family:system-ui,sans-serif;max-width:1000px;text-align:left">'
        f"{html.heading(part['title'], part['verdict'])}{body}{html.checks(part['checks'])}{_waits(part)}</div>"
    )


def plain(part: Part) -> str:
    """The same in lines, for a terminal and for ``text/plain``."""
    lines = [f"{translated(part['title'])}: {part['verdict']}"]
    lines += [
        f"  {c['verdict']:9} {c['code']}  {translated(c['title'])}: {translated(c['reason'])}" for c in part["checks"]
    ]
    return "\n".join(lines)


def _waits(part: Part) -> str:
    waits = [t for t in part["timeline"] if t["kind"] == "waited for"]
    if not waits:
        return ""
    told = ", ".join(f"{translated(t['what'])} {t['seconds']:.1f} s" for t in waits)
    return f'<p style="font-size:12px;opacity:.75;margin:6px 0">{html.escape(say("Waited for: {}", told))}</p>'


def _preflight(data: Data) -> str:
    missing = [p for p in data["permissions"] if p["allowed"] is not True]
    permissions = html.table(data["permissions"], caption="permissions that the run needs")
    title = f"{len(data['permissions'])} permissions asked for, {len(missing)} missing"
    pairs = [(row["what"], row["value"]) for row in data["cluster"]]
    return html.facts(pairs) + html.folded(title, permissions, opened=bool(missing))


def _who_is_who(data: Data) -> str:
    images = diagrams.versions(data["mount_pods"])
    return (
        architecture(data)
        + html.table(data["cast"], caption="who takes part")
        + html.table(data["nodes"], caption="nodes, and the driver's Pod on each")
        + html.folded(
            f"{len(data['mount_pods'])} Mount Pods", html.table(data["mount_pods"], caption="Mount Pods") + images
        )
        + html.folded(
            f"config.yaml in ConfigMap {data['config_map']}", html.block(data["config"], "the driver's config.yaml")
        )
    )


def architecture(data: Data) -> str:
    """The picture of the cluster's storage side, from the data of ``who_is_who``."""
    return diagrams.architecture(data["cast"], data["nodes"], data["mount_pods"], data["config_map"])


def _smoke(data: Data) -> str:
    names = (html.code(data["mount_pod"]), html.code(data["mount_image"]))
    served = html.note(say("Served by Mount Pod {} with image {}", *names)) if data["mount_pod"] else ""
    return (
        html.table(data["wide"], caption="kubectl get pod -o wide")
        + served
        + html.block("\n".join(data["log"]), f"log of {data['pod']}")
        + html.folded(f"{len(data['events'])} events", html.table(data["events"], caption="events"))
        + html.folded("manifest as it was created", html.block(data["manifest"], "manifest, YAML"))
    )


def _served_by(data: Data) -> str:
    answer = {
        True: "Here both happen to be the same client; look at the last column for how we know.",
        False: "Two different clients: what is installed in the app Pod has no part in its reads and writes.",
        None: "The app image holds no client to compare with (or it could not be asked); the mount works all the same.",
    }[data["same_client"]]
    return html.table(data["rows"], caption="two places, two clients") + f'<p style="margin:6px 0">{say(answer)}</p>'


def _csi_calls(data: Data) -> str:
    less = "This driver logs neither caller nor messages, so less can be told here than in the sandbox."
    note = "" if data["traced"] else html.note(say(less))
    picture = csi_sequence(data["moments"], data["pod"])
    calls = html.table(data["calls"], caption=f"calls about this volume in the log of {data['pod']}")
    return picture + note + calls


def _dockerfile(data: Data) -> str:
    ignore = data.get("ignore") or ""
    more = html.folded("the .dockerignore for a tree that has none", html.block(ignore, ".dockerignore"))
    return html.block(data["text"], "Dockerfile") + (more if ignore else "")


def _build_preflight(data: Data) -> str:
    if not data["facts"]:
        engines = ", ".join(data["engines"]) or say("none answers here")
        return html.facts([("engines", engines), ("source", "")])
    pairs = [(row["what"], row["value"]) for row in data["facts"]]
    return html.facts(pairs) + html.block(data["command"], "command")


def _build(data: Data) -> str:
    facts = [("built here", data["built"]), ("image under test", data["image"])]
    if data["built"]:
        facts += [
            ("engine", data["engine"]),
            ("client", data["client_version"]),
            ("commit of the source", data["commit"]),
            ("sha256 of the client", data["client_sha256"]),
            ("image id", data["image_id"]),
            ("digest in the registry", data["digest"]),
            ("platform", data["platform"]),
            ("size", f"{data['size'] / 1e6:.1f} MB"),
            ("where it is now", data["where"]),
        ]
    note = f'<p style="margin:6px 0">{html.escape(data["note"])}</p>' if data["note"] else ""
    layers = [{**row, "size": f"{row['size'] / 1e6:.1f} MB"} for row in data["layers"]]
    shown = html.facts([(name, value) for name, value in facts if value != ""]) + note
    if layers:
        shown += html.table(layers, caption="layers") + html.table(data["labels"], caption="labels")
    output = html.block("\n".join(data["output"]), "output of the build") if data["output"] else ""
    return shown + (html.folded("output of the build", output) if output else "")


def _plan(data: Data) -> str:
    facts = [
        ("ConfigMap", data["config_map"]),
        ("scope", data["scope"]),
        ("image for the smoke claim now", f"{data['current_image']} ({data['current_why']})"),
        ("after the patch", f"{data['future_image']} ({data['future_why']})"),
    ]
    notes = "".join(f'<li style="margin:3px 0">{html.escape(translated(text))}</li>' for text in data["warnings"])
    change = html.diff(data["diff"]) if data["changed"] else f"<p>{say('Nothing to change: it says so already.')}</p>"
    warned = f'<ul style="margin:6px 0;padding-left:18px">{notes}</ul>' if notes else ""
    claims = html.table(data["affected"], caption="whose next mount it changes")
    if unknown := data.get("affected_unknown"):
        claims = html.note(html.escape(say("Whose next mount it changes is not known: {}", unknown)))
    pods = data.get("affected_pods") or ()
    users = html.table(pods, caption="who uses these now, and keeps its client until it is made anew")
    folded = html.folded(say("{} Pods use these claims now", len(pods)), users) if pods else ""
    return html.facts(facts) + change + warned + claims + folded


def _patched(data: Data) -> str:
    return html.facts(
        [
            ("ConfigMap", data["config_map"]),
            ("changed", data["changed"]),
            ("resourceVersion before", data["before"]),
            ("resourceVersion after", data["after"]),
            ("backup", data["backup"]),
        ]
    )


def _in_force(data: Data) -> str:
    return html.table(data["nodes"], caption="seconds after the patch, per CSI node Pod")


def _prepared(data: Data) -> str:
    return html.table(data["objects"], caption="what the smoke Pod needs")


def _side_by_side(data: Data) -> str:
    return html.table(data["mount_pods"], caption="Mount Pods of the smoke volume")


def _chain(data: Data) -> str:
    others = html.table(data["others"], caption="other Mount Pods of this volume") if data["others"] else ""
    return html.table(data["links"], caption="link by link") + others


def _client(data: Data) -> str:
    baseline = html.table(data["baseline"], caption="the same questions about the baseline's Mount Pod")
    return html.table(data["levels"], caption="the Mount Pod under test") + (baseline if data["baseline"] else "")


def _data(data: Data) -> str:
    return html.table(data["routes"], caption="the same bytes, read by different routes")


def _shutdown(data: Data) -> str:
    return (
        html.table(data["steps"], caption="seconds after the deletion")
        + html.folded("log of the smoke Pod from the deletion on", html.block("\n".join(data["log"]), "log"), True)
        + html.folded("log of the Mount Pod", html.block("\n".join(data["mount_log"]), "log of the Mount Pod"))
    )


def _restored(data: Data) -> str:
    return html.table(data["undone"], caption="what was put back or removed")


def _verdict(data: Data) -> str:
    return f'<p style="font-size:14px;margin:6px 0">{html.escape(translated(data["sentence"]))}</p>' + html.table(
        data["rows"], caption="all checks of this run"
    )


def _loaded(data: Data) -> str:
    names = ("pod", "node", "volume", "mount_pod", "client")
    return html.facts([(name.replace("_", " "), data[name]) for name in names])


def _upgrade_plan(data: Data) -> str:
    pairs = [(row["what"], row["value"]) for row in data["facts"]]
    return html.facts(pairs) + html.table(data["apps"], caption="who is served by it, and what they will see")


def _exchange(data: Data) -> str:
    return html.block("\n".join(data["lines"]), "output of juicefs-csi-driver upgrade")


def _upgrade_proof(data: Data) -> str:
    waits = html.table(data["stalls"], caption="calls that waited, seconds from the beginning of the exchange")
    answering = html.table(data["clients"], caption="by the mount's own .config")
    errors = html.table(data["errors"], caption="errors that the app saw") if data["errors"] else ""
    return (
        stalls(data)
        + html.table(data["held"], caption="what the app held before, and holds now")
        + html.table(data["counted"], caption="the records, read back")
        + errors
        + html.folded(say("{} calls waited", len(data["stalls"])), waits)
        + html.folded("which client answered the app", answering)
    )


def _back(data: Data) -> str:
    sentence = f'<p style="font-size:14px;margin:6px 0">{html.escape(translated(data["sentence"]))}</p>'
    return (sentence if data["sentence"] else "") + _restored(data)


def _sides(data: Data) -> str:
    columns = ("side", "pod", "node", "mount_pod", "image", "client")
    rows = [{name: row[name] for name in columns} for row in data["rows"]]
    return html.table(rows, caption="who is compared")


def _compared(data: Data) -> str:
    rows = [
        {
            "metric": row["metric"],
            "old": _amount(row["metric"], row["old"]),
            "new": _amount(row["metric"], row["new"]),
            "new ÷ old": f"{row['ratio']:.2f}",
            "interval": f"{row['low']:.2f} … {row['high']:.2f}" if row["high"] else "–",
            "outcome": translated(row["outcome"]),
        }
        for row in data["metrics"]
    ]
    counters = html.table(data["counters"], caption="the client's own counters, per round (median)")
    rounds = html.table(data["rounds"], caption="every round, in order")
    return (
        intervals(data["metrics"], data["tolerance"])
        + html.table(rows, caption="medians, and the ratio with its interval")
        + html.folded("what it cost", counters)
        + html.folded(say("all {} rounds", len(data["rounds"])), rounds)
    )


def _amount(metric: str, value: float) -> str:
    return f"{value / 2**20:.0f} MiB" if metric == "memory" else f"{value * 1000:.0f} ms"


def _behaviours(data: Data) -> str:
    remarkable = [row for row in data["rows"] if row["finding"] != "same"]
    told = html.table(remarkable, caption="lines that differ, from POSIX or from each other") if remarkable else ""
    title = say("all {} behaviours", len(data["rows"]))
    return told + html.folded(title, html.table(data["rows"], caption="expected, and seen with either client"))


def _anything(data: Data) -> str:
    """A part without a form of its own: its tables as tables, the rest as facts."""
    tables = {k: v for k, v in data.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
    rest = [(name, value) for name, value in data.items() if name not in tables]
    shown = "".join(html.table(rows, caption=name) for name, rows in tables.items())
    return (html.facts(rest) if rest else "") + shown


_BODIES: dict[str, Callable[[Data], str]] = {
    "preflight": _preflight,
    "who_is_who": _who_is_who,
    "baseline": _smoke,
    "served_by": _served_by,
    "csi_calls": _csi_calls,
    "dockerfile": _dockerfile,
    "build_preflight": _build_preflight,
    "build": _build,
    "plan": _plan,
    "apply": _patched,
    "wait_in_force": _in_force,
    "prepare": _prepared,
    "smoke": _smoke,
    "side_by_side": _side_by_side,
    "chain": _chain,
    "client": _client,
    "data": _data,
    "shutdown": _shutdown,
    "load": _loaded,
    "upgrade_plan": _upgrade_plan,
    "exchange": _exchange,
    "upgrade_proof": _upgrade_proof,
    "back": _back,
    "sides": _sides,
    "measure": _compared,
    "behaviours": _behaviours,
    "restore": _restored,
    "verdict": _verdict,
}


def lanes(parts: Mapping[str, Part]) -> list[diagrams.Lane]:
    """The lanes of `diagrams.serving` from the parts of a run (by name): baseline first, the Pod under test last."""
    found = []
    client = parts.get("client", {}).get("data", {})
    seen = {row["pod"]: row["client_running"] for row in parts.get("served_by", {}).get("data", {}).get("rows", [])}
    for name, note, levels in (("baseline", "baseline", "baseline"), ("smoke", "under test", "levels")):
        data = parts.get(name, {}).get("data")
        if data and data["pod"]:
            version = running_client(client.get(levels) or []) or str(seen.get(data["mount_pod"]) or "")
            lane = (data["pod"], data["mount_pod"], data["mount_image"], short_version(version), note)
            found.append(diagrams.Lane(*lane, tested=name == "smoke"))
    return found


def running_client(levels: Sequence[Mapping[str, Any]]) -> str:
    """The version that the first source of level 3, the running program, gave; empty when none did."""
    found = (str(row["found"]) for row in levels if row["level"] == 3 and row["found"])
    return next(found, "")


def short_version(version: str) -> str:
    """``1.3.0 (2025-07-03 30190ca)`` without its date."""
    return re.sub(r"\(\S+ (\w{7,})\)", r"(\1)", version)


def serving(parts: Mapping[str, Part]) -> str:
    """The picture of who serves whom in this run; empty before there is anything to show."""
    found = lanes(parts)
    if not found:
        return ""
    last = (parts.get("smoke") or parts["baseline"])["data"]
    return diagrams.serving(found, last["claim"], last["volume"], last["node"])
