"""junit.xml: one test case per check, and one per notebook that did not run to its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

#: verdict -> the element that a CI server understands
_ELEMENTS = {"FAIL": "failure", "ERROR": "error", "NOT_READY": "error", "N/A": "skipped"}
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: Mapping[str, Any]) -> str:
    """The XML text for a run (`record.record`)."""
    cases = [
        (check["step"], f"{check['code']} {check['title']}", check["verdict"], check["reason"], check["next_action"])
        for check in run["checks"]
    ]
    cases += [
        (book["name"], "every cell ran", book["verdict"], book["reason"], book["next_action"])
        for book in run["notebooks"]
        if book["verdict"] != "PASS"
    ]
    suite = ElementTree.Element("testsuite", name="jfsnb", timestamp=run["started"], time=f"{run['seconds']:.3f}")
    counts = dict.fromkeys(("failure", "error", "skipped"), 0)
    for group, name, verdict, reason, next_action in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=f"jfsnb.{group}", name=_clean(name))
        element = _ELEMENTS.get(verdict)
        if element:
            counts[element] += 1
            ElementTree.SubElement(case, element, message=_clean(f"{verdict}: {reason}")).text = _clean(next_action)
        elif verdict == "WARN":
            ElementTree.SubElement(case, "system-out").text = _clean(f"WARN: {reason} {next_action}".strip())
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    suite.set("skipped", str(counts["skipped"]))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
