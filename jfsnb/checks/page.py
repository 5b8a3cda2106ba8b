"""docs/check-codes.md from the register: ``python -m jfsnb.checks.page > docs/check-codes.md``."""

from __future__ import annotations

import importlib
import pkgutil

import jfsnb.checks
from jfsnb.checks.codes import REGISTER

AREAS = {
    "PRE": "Before anything is changed",
    "BLD": "Building an image",
    "PVC": "Claim and volume",
    "CFG": "The driver's configuration",
    "IMG": "Image and client",
    "MNT": "The Mount Pod that serves",
    "CSI": "The driver's own Pods",
    "IO": "Reading and writing",
    "END": "Shutdown",
    "BAS": "Bystanders",
    "UPG": "Upgrade in place",
    "CMP": "Old client against new",
    "TIER": "What the sandbox can prove",
    "POD": "App Pods, and the smoke Pod on its way up",
    "RUN": "The run itself",
}


def page() -> str:
    """The page as Markdown, with every module that registers codes loaded."""
    for module in pkgutil.walk_packages(jfsnb.checks.__path__, "jfsnb.checks."):
        if module.name != "jfsnb.checks.page":
            importlib.import_module(module.name)
    lines = [
        "# Check codes",
        "",
        "Made by `python -m jfsnb.checks.page > docs/check-codes.md` from the register in `jfsnb/checks`; a test keeps",
        "it in step. A code never changes its meaning. From 100 on: diagnosis of a whole cluster (`jfsnb doctor`),",
        "silent unless it applies.",
        "",
        "Verdicts: PASS · FAIL (looked, and it is wrong) · WARN (works, but not what was asked, or will revert) ·",
        "NOT_READY (cannot be judged yet) · ERROR (could not look) · N/A.",
    ]
    for area, heading in AREAS.items():
        lines += ["", f"## {heading}", "", "| code | question | when it is not so | what to do |", "|---|---|---|---|"]
        for code in sorted(c for c in REGISTER if c.split("-")[1] == area):
            entry = REGISTER[code]
            cells = (entry.code, entry.title, entry.cause, entry.fix)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
