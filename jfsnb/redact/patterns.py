"""Secrets in text that cannot be parsed: messages, log lines, diffs, command lines, comments, pages.

Only lines that hold a telling word are looked at, with their neighbours: most lines of a long list hold none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jfsnb.redact.addresses import HIDDEN
from jfsnb.redact.names import harmless, telling

Match = re.Match[str]
#: What a line holds, in small letters, that is worth a closer look.
_HINT = re.compile(
    r"pass|pw|secret|token|credential|auth|cookie|bearer|basic |identified by|mysql|redis-cli|curl|sig="
    r"|(?:api|access|private|account|signing|rsa|license|client)[-_. ]?key|certificate|x-amz-|eyj|akia|asia"
    r"|gh[posru]_|github_pat_|glpat-|xox|密码|口令|令牌"
)
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)", re.S
)
_KEY_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTi(?!BDRVJUSUZJ|BQVUJMSUM)[A-Za-z0-9+/=]+")

_KEY = r"(?<![\w.-])(?P<key>(?:(?:api|access|private|secret|account|signing) (?=key))?[\w.-]++)"
_MARK = r"(?:\\{0,9}[\"'`]|&quot;|&#3[49];|&#x27;)"  # a quote, as it is or in JSON or HTML
_QUOTED = rf"(?P<q>{_MARK})(?P<in>(?:(?!(?P=q)|\n)(?:\\.|.)|(?P=q){{2}})*+)(?P=q)"
# A comma, a bracket or a quote belongs to a value where more of it follows that is not the next key.
_BARE = (
    r"(?:[^\s\"'`<>,;&)}\]\\|]|\\(?![ntr\"'])|<(?!/?\w+[\s/]*>)(?!/)"
    r"|[>,;&)}\]\"'`|](?=[A-Za-z0-9!@#$%^*+/=_])(?!&?(?:quot|#\d+|#x\w+|lt|gt|amp);)(?![\w.-]++\s*[:=]))++"
)
_WORDS_BETWEEN = r"(?:[ \t]+(?:is|was|for[ \t]+\S+))?"
_SIGN = rf"{_MARK}?{_WORDS_BETWEEN}[ \t]*(?::=|=>|=|:|：|%3D)[ \t]*+"
_COLON = rf"{_MARK}?{_WORDS_BETWEEN}[ \t]*(?::[ \t]++|：[ \t]*+)"
_VALUE = rf"(?:{_QUOTED}|(?!\{{\s*{_MARK}?[\w.-]+{_MARK}?\s*[:=])(?P<bare>{_BARE}))"
_NAME = rf"(?<!\w){_MARK}?name{_MARK}?\s*[:=]\s*{_MARK}?"
_VALUE_KEY = rf"{_MARK}?\bvalue{_MARK}?\s*[:=][ \t]*+"
_NEXT = r"[,\s][\s+#-]*"
_BLOCK = r"[|>][-+0-9]*[ \t]*\n(?:(?P=dent)[ \t]+[^\n]*(?:\n|\Z)|[ \t]*\n)+"
_OPENS_BLOCK = re.compile(r":[ \t]*[|>][-+0-9]*[ \t]*$")


def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, re.I | flags)


def masked(value: str, keep: str) -> str:
    """What stands in place of a value; behind ``key: `` a bare ``***`` would be a YAML alias."""
    return f"'{HIDDEN}'" if re.search(r":[ \t]+$", keep) and value[:1] not in "\"'" else HIDDEN


def _named(match: Match) -> str | None:
    """A value (quoted, or bare) behind a telling name."""
    found = match.groupdict()
    keep, name, tail = match["keep"], match["key"], found.get("tail") or ""
    quote = found.get("q") or ""
    value = match["in"] if quote else found.get("bare") or ""
    if not telling(name) or harmless(value, name):
        return None
    return keep + (f"{quote}{HIDDEN}{quote}" if quote else masked(value, keep)) + tail


def _block(match: Match) -> str | None:
    return f"{match['keep']}'{HIDDEN}'\n" if telling(match["key"]) else None


def _element(match: Match) -> str | None:
    return f"{match['keep']}{HIDDEN}<" if telling(match["key"]) and not harmless(match["value"]) else None


def _kept(match: Match) -> str:
    return f"{match['keep']}{HIDDEN}"


def _whole(match: Match) -> str:
    return HIDDEN


@dataclass(frozen=True)
class Rule:
    """A pattern, run only on texts that hold one of these words (in small letters; "" for all).

    Args:
        replacement: what stands in place of a match; None: it is no secret, look for others in it.
    """

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: Callable[[Match], str | None]


_OVER_LINES = (
    # Authorization: Basic …, Cookie: a=b; c=d
    Rule(
        ("authorization", "cookie"),
        _compiled(rf"(?P<keep>\b(?:authorization|cookie){_MARK}?\s*[:=][ \t]*+{_MARK}?+)(?!\*)[^\n\"'\\]+"),
        _kept,
    ),
    Rule(
        ("bearer", "basic"),
        _compiled(r"(?P<keep>\b(?:bearer|basic)\s+)(?!tokens?\b|auth\w*\b|cred\w*\b)[A-Za-z0-9._~+/=-]{6,}"),
        _kept,
    ),
    Rule(("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"), _whole),
    Rule(
        ("akia", "asia", "gh", "glpat", "xox"),
        re.compile(
            r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[posru]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,})"
        ),
        _whole,
    ),
    # an entry of an env list: {name, value} and {value, name}, over lines, in JSON, in a flow mapping, of a Go struct
    Rule(
        ("value",),
        _compiled(rf"(?P<keep>{_NAME}{_KEY}{_MARK}?\s*,?\n[\s+-]*{_VALUE_KEY})(?!{_MARK}|[|>{{])(?P<bare>[^\n]+)"),
        _named,
    ),
    Rule(
        ("value",),
        _compiled(rf"(?P<keep>{_NAME}{_KEY}{_MARK}?{_NEXT}{_VALUE_KEY})(?![|>]\s*\n){_VALUE}"),
        _named,
    ),
    Rule(
        ("value",),
        _compiled(rf"(?P<keep>{_VALUE_KEY})(?:{_QUOTED}|(?P<bare>[^\n]*?))(?P<tail>{_NEXT}{_NAME}{_KEY})"),
        _named,
    ),
    # block scalars
    Rule(
        ("value",),
        _compiled(rf"(?P<keep>{_NAME}{_KEY}{_MARK}?\s*\n(?P<dent>[ \t]*)value:[ \t]*){_BLOCK}"),
        _block,
    ),
    Rule(
        ("|", ">"),
        _compiled(rf"(?P<keep>^(?P<dent>[ \t]*)(?:- +)?{_MARK}?{_KEY}{_MARK}?:[ \t]*){_BLOCK}", re.M),
        _block,
    ),
    # --flag value, also as two elements of a list
    Rule(
        ("-",),
        _compiled(
            rf"(?P<keep>(?=--?\w){_KEY}(?:[ \t]+|{_MARK}\s*,\s*(?={_MARK})|{_MARK}?\n[ \t]*-[ \t]+))(?!-){_VALUE}"
        ),
        _named,
    ),
)
_IN_A_LINE = (
    Rule(("",), _compiled(rf"(?P<keep>{_KEY}{_SIGN})(?!{_MARK}?(?:\s|$)){_VALUE}"), _named),
    Rule(
        ("password", "passphrase", "passwd"),
        _compiled(rf"(?P<keep>\b(?P<key>password|passphrase|passwd)[ \t]+){_QUOTED}"),
        _named,
    ),
    # <td>name</td><td>value</td>, <name>value</name>
    Rule(
        ("<t",),
        _compiled(rf"(?P<keep><t[dh]\b[^<>]*>\s*{_KEY}\s*</t[dh]>\s*<t[dh]\b[^<>]*>)(?P<value>[^<>]+)<"),
        _element,
    ),
    Rule(("</",), _compiled(rf"(?P<keep><{_KEY}>)(?P<value>[^<>\n]+)<"), _element),
    # words that programs use for it
    Rule(
        ("requirepass", "masterauth", "sshpass", "identified by"),
        _compiled(r"(?P<keep>\b(?:requirepass|masterauth|sshpass\s+-p|identified by)\s+)\S+"),
        _kept,
    ),
    Rule(("redis-cli",), _compiled(r"(?P<keep>\bredis-cli\b[^\n|;&]*?\s-a\s+)\S+"), _kept),
    Rule(("mysql",), _compiled(r"(?P<keep>\bmysql\w*\b[^\n|;&]*?\s-p)\S+"), _kept),
    Rule(("curl",), _compiled(r"(?P<keep>\bcurl\b[^\n|;&]*?\s(?:-u|--user)[= ]*[^\s:]+:)[^\s\"']+"), _kept),
    Rule(("sig=",), _compiled(r"(?P<keep>[?&]sig=)[^&\s\"'<>]+"), _kept),
)
_PASSWORD = _compiled(r"pass(?:word|phrase|wd)|pwd|(?<![a-z])pw(?![a-z])")
_END_OF_PHRASE = re.compile(r"[,;](?=\s)|\s(?=[\w.-]+[=:])|[\"'`<>)\]}]")
_LINE_KEY = _compiled(rf"{_KEY}{_COLON}(?=[^\s\"'`\\&{{\[|>])")


def hints_at_secrets(text: str) -> bool:
    """Whether a text is worth a closer look; cheap."""
    return _HINT.search(text.lower()) is not None or "-----BEGIN" in text or "LS0tLS1CRUdJTi" in text


def hide_patterns(text: str) -> str:
    """The text with what looks like a credential replaced by ``***``."""
    if "-----BEGIN" in text:
        text = PRIVATE_KEY.sub(f"{HIDDEN} private key {HIDDEN}", text)
    if "LS0tLS1CRUdJTi" in text:
        text = _KEY_IN_BASE64.sub(HIDDEN, text)
    small = text.lower()
    if _HINT.search(small) is None:
        return text
    lines = text.split("\n")
    hits = [number for number, line in enumerate(small.split("\n")) if _HINT.search(line)]
    pieces, last = [], 0
    for begin, end in _windows(lines, hits):
        pieces += [*lines[last:begin], _hide("\n".join(lines[begin:end]))]
        last = end
    return "\n".join([*pieces, *lines[last:]])


def _windows(lines: list[str], hits: list[int]) -> Iterator[tuple[int, int]]:
    """The lines that hold a hint, with a neighbour on each side and the block that begins there; each line once."""
    begin = end = 0
    for hit in hits:
        first, last = max(hit - 1, 0), min(hit + 2, len(lines))
        if any(_OPENS_BLOCK.search(line) for line in lines[hit:last]):
            while last < len(lines) and (not lines[last].strip() or lines[last][0] in " \t"):
                last += 1
        if first <= end:
            end = max(end, last)
            continue
        if end:
            yield begin, end
        begin, end = first, last
    if end:
        yield begin, end


def _hide(text: str) -> str:
    if "\\n" in text:  # lines inside a string, as in JSON or in a log: for the patterns they are lines
        text = "\n".join(
            _hide(line.replace("\\n", "\n")).replace("\n", "\\n") if "\\n" in line else line
            for line in text.split("\n")
        )
    small = text.lower()
    for rule in _OVER_LINES:
        text = _replaced(rule, text) if any(word in small for word in rule.words) else text
    text = "\n".join(map(_rest_of_line, text.split("\n")))
    for rule in _IN_A_LINE:
        text = _replaced(rule, text) if any(word in small for word in rule.words) else text
    return text


def _rest_of_line(line: str) -> str:
    """``key: value`` up to the end of the line, also in a comment or behind the signs of a diff; in the middle of a
    sentence only a password may have blanks. What is quoted is left to the pattern that knows where it ends."""
    for match in _LINE_KEY.finditer(line):
        before, value, rest = line[: match.start()].rpartition("#")[2], line[match.end() :], ""
        if not telling(match["key"]) or harmless(value, match["key"]):
            continue
        if re.search("[:=]", before):
            if not _PASSWORD.search(match["key"]):
                continue
            value = _END_OF_PHRASE.split(value, maxsplit=1)[0]
            rest = line[match.end() + len(value) :]
        if not harmless(value, match["key"]):
            return line[: match.end()] + masked(value, match[0]) + rest
    return line


def _replaced(rule: Rule, text: str) -> str:
    """As ``pattern.sub``, but what is refused is searched on behind the part that would be kept."""
    pieces: list[str] = []
    last = position = 0
    while match := rule.pattern.search(text, position):
        new = rule.replacement(match)
        if new is None:
            position = match.end("keep")
            continue
        pieces += [text[last : match.start()], new]
        last = position = match.end()
    return "".join([*pieces, text[last:]]) if pieces else text
