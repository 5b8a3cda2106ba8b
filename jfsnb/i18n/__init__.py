"""The language that a reader is addressed in. Everything is written, kept and judged in English; what is *shown* goes
through here, so that run.json, logs and tests never depend on a language.

A catalogue maps English sentences to another language. ``{}`` stands for a value: ``"{} is gone"`` also translates
``"pod-7 is gone"``, however that sentence was put together; a sentence within a sentence is translated, too. What has
no translation is shown in English. (gettext knows no sentences that were filled in elsewhere, hence our own 80 lines.)
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from unicodedata import east_asian_width

VARIABLE = "JFSNB_LANG"
LANGUAGES = {"en": "English", "zh": "简体中文"}
#: as HTML wants it
TAGS = {"en": "en", "zh": "zh-CN"}
_JOINTS = {"zh": {"? ": "？", "; ": "；", ": ": "：", ", ": "，", " · ": " · ", " – ": " – "}}
_PLACE = "{}"
#: with fewer letters a sentence is too common to be found everywhere
LETTERS = 6


def language() -> str:
    """The language in use: that of the environment variable JFSNB_LANG, English when it names none that we have."""
    asked = os.environ.get(VARIABLE, "en")
    return asked if asked in LANGUAGES else "en"


def say(text: str, *values: object) -> str:
    """A sentence in the language in use, its places ``{}`` filled with the values."""
    return catalogue(language()).get(text, text).format(*values) if values else translated(text)


def translated(text: str) -> str:
    """A sentence that was put together elsewhere, in the language in use."""
    return text if language() == "en" else _translated(text, language())


def width(text: str) -> int:
    """Its length in Latin letters: a Chinese one takes as much room as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


@functools.lru_cache(maxsize=4096)
def _translated(text: str, into: str) -> str:
    words = catalogue(into)
    bare = text.strip()
    if bare in words:
        return text.replace(bare, words[bare]) if bare else text
    for pattern, template in _patterns(into):
        match = pattern.fullmatch(bare)
        if match:
            return template.format(*(_translated(value, into) for value in match.groups()))
    for joint, theirs in _JOINTS[into].items():
        if joint in bare:
            pieces = [_translated(piece, into) for piece in bare.split(joint)]
            if pieces != bare.split(joint):
                return theirs.join(pieces)
    return text


@functools.cache
def catalogue(into: str) -> Mapping[str, str]:
    """English sentence -> sentence in that language."""
    if into == "en":
        return {}
    import yaml

    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / into).glob("*.yaml")):
        found |= yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


@functools.cache
def _patterns(into: str) -> list[tuple[re.Pattern[str], str]]:
    """Sentences with places, the most definite first."""
    found = [(text, theirs) for text, theirs in catalogue(into).items() if _PLACE in text]
    found.sort(key=lambda pair: len(pair[0].replace(_PLACE, "")), reverse=True)
    return [(_pattern(text), theirs) for text, theirs in found]


def _pattern(text: str) -> re.Pattern[str]:
    """What a sentence looks like with its values. One of few letters (``"{} to {}"``) begins with single words only:
    otherwise it would be found inside whatever somebody wrote."""
    pieces = [re.escape(piece) for piece in text.split(_PLACE)]
    definite = sum(letter.isalpha() for letter in text) >= LETTERS
    values = ["(.*?)" if definite else r"(\S*?)"] * (len(pieces) - 2) + ["(.*?)"]
    return re.compile("".join(a + b for a, b in zip(pieces, [*values, ""], strict=True)), re.DOTALL)
