"""Lines of the real driver's log, and the CSI calls that they belong to: its logger names the call, appName the Pod."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_LINE = re.compile(
    r'[IWEF](?P<date>\d{4}) (?P<time>[\d:.]+) .*?\] "(?P<message>(?:[^"\\]|\\.)*)"(?P<rest>.*)$', re.DOTALL
)
_PAIR = re.compile(r' ([A-Za-z]\w*)=("(?:[^"\\]|\\.)*"|<\n.*?\n >|\{[^}]*\}|\[[^\]]*\]|[^ ]+)', re.DOTALL)
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
#: First line of a call → its method; last line → the same.
BEGINS = {"get volume_capability": "NodePublishVolume", "get volume_id": "NodeUnpublishVolume"}
ENDS = {"juicefs volume mounted": "NodePublishVolume", "Cleaned up volume health metric": "NodeUnpublishVolume"}
FAILED = "GRPC error"
#: Logger of the driver's loop over Mount Pods, whose lines belong to no call.
LOOP = "pod-driver"


@dataclass(frozen=True)
class Entry:
    """A line of the log.

    Args:
        at: ``MM-DD HH:MM:SS.ffffff``. values: what stands behind the message.
    """

    at: str
    message: str
    values: Mapping[str, str]

    @property
    def logger(self) -> str:
        return self.values.get("logger", "")

    @property
    def context(self) -> dict[str, str]:
        """The volume context, without what may be a token."""
        try:
            found = json.loads(self.values.get("volCtx", "{}"))
        except ValueError:
            return {}
        return {k: str(v) for k, v in found.items() if "token" not in k.lower()} if isinstance(found, dict) else {}


@dataclass
class Call:
    """The lines of one call, from its coming to its going, as far as the log has them."""

    method: str
    entries: list[Entry] = field(default_factory=list)

    def told(self, key: str) -> set[str]:
        """All values of a key in its lines."""
        return {e.values[key] for e in self.entries if key in e.values}

    @property
    def began(self) -> bool:
        """Whether its first line is there."""
        return self.entries[0].message in BEGINS


_Key = tuple[str, str, str]


def entries_of(lines: Iterable[str]) -> Iterator[Entry]:
    """Lines of klog's form; values that span several lines are put together, all others are passed over."""
    text = ""
    for line in (*lines, "I"):
        bare = _STAMP.sub("", line)
        if text and bare.startswith(("\t", " >")):
            text += "\n" + bare
            continue
        match = _LINE.search(text) if text and not text.startswith("{") else None
        if match is not None:
            at = f"{match['date'][:2]}-{match['date'][2:]} {match['time']}"
            yield Entry(at, match["message"], {k: _value(v) for k, v in _PAIR.findall(match["rest"])})
        text = bare


def _value(text: str) -> str:
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text.strip('"')
    if text.startswith("<\n"):
        return " ".join(line.strip() for line in text[1:-1].splitlines()).strip()
    return text


def calls_of(entries: Iterable[Entry]) -> tuple[Call, ...]:
    """Calls in the order of their coming. Several may be under way: logger, volume, app and target tell them apart."""
    under_way: list[tuple[_Key, Call]] = []
    found: list[Call] = []
    for entry in entries:
        if entry.logger == LOOP:
            continue
        key = (entry.logger, entry.values.get("volumeId", ""), entry.values.get("appName", ""))
        if entry.message in BEGINS:
            under_way.append((key, Call(BEGINS[entry.message], [entry])))
            found.append(under_way[-1][1])
            continue
        over = entry.message in ENDS or entry.message == FAILED
        home = next((one for one in reversed(under_way) if _fits(entry, key, *one)), None)
        if home is not None:
            home[1].entries.append(entry)
            if over:
                under_way.remove(home)
        elif over:  # it came before the log begins
            found.append(Call(ENDS.get(entry.message, ""), [entry]))
    return tuple(found)


def _fits(entry: Entry, key: _Key, theirs: _Key, call: Call) -> bool:
    """Whether a line may belong to a call: nothing that both tell differs."""
    if entry.message != FAILED and key[0] not in ("", theirs[0]):
        return False
    target, targets = entry.values.get("target", ""), call.told("target")
    return key[1] in ("", theirs[1]) and key[2] in ("", theirs[2]) and (not target or not targets or target in targets)
