"""Which part of a snapshot is which member of the file."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from jfsnb.checks.snapshot import PARTS

FORMAT, VERSION = "jfsnb snapshot", 1
MANIFEST, README = "manifest.json", "README.txt"
#: In a history: each moment's manifest, and what members hold, by its sha256.
MOMENTS, BLOBS = "moments/", "blobs/"
#: Single objects (null where there is none), what was read Pod by Pod as text and as data, and lists of objects.
SINGLES = ("daemon_set", "csi_driver", "config_map")
TEXTS = {
    "csi_files": "csi-nodes/{}/config.yaml",
    "csi_logs": "csi-nodes/{}/log.txt",
    "mount_logs": "mount-pods/{}/log.txt",
}
ANSWERS = ("secret_keys", "csi_file_times", "clients", "next_hashes", "inside")
#: Names and nothing else: a Secret's keys look like secrets to the redactor, as they stand behind its name.
NAMES = ("secret_keys",)
LISTS = tuple(name for name in PARTS if name not in (*SINGLES, *TEXTS, *ANSWERS))
#: Lines rather than one text.
LOGS = ("csi_logs", "mount_logs")


def member_of(part: str) -> str:
    """The member with a part that is one list, object or table."""
    return f"answers/{part}.json" if part in ANSWERS else f"objects/{part}.json"


def text_member(part: str, name: str) -> str:
    """The member with what one Pod told."""
    return TEXTS[part].format(quote(name, safe=""))


def pod_of(part: str, member: str) -> str | None:
    """The Pod whose text of that part a member holds; None where it holds something else."""
    pattern = re.escape(TEXTS[part]).replace(r"\{\}", "([^/]+)")
    found = re.fullmatch(pattern, member)
    return unquote(found[1]) if found else None


ABOUT = """\
What was read of a cluster, for questions about which JuiceFS client serves which Pod (jfsnb collect).

  manifest.json      when, by which account, with which versions; what could not be read, and why; sha256 of each member
  objects/           API objects, one a line: Mount Pods, Pods that use JuiceFS (only what the questions look at),
                     volumes, claims, nodes, the CSI driver's Pods, DaemonSet and ConfigMap, warnings among the events
  answers/           what clients and CSI nodes answered; of Secrets only the names of their keys
  csi-nodes/<Pod>/   config.yaml as that CSI node has it, and its log
  mount-pods/<Pod>/  its log, where it may tell of trouble
  more/              what no question looks at, but people may: more logs, and clients' own .config and .stats

Secrets are replaced by three stars. Ask it as a cluster:

  jfsnb mounts --from FILE         jfsnb verify POD --from FILE
  jfsnb explain PVC --from FILE    jfsnb doctor --from FILE
"""
