"""What Go's ``encoding/json`` says of a text that is no JSON: the first character that does not fit, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jfsnb.driver.golang.quoting import go_quoted

END = "unexpected end of JSON input"
_SPACE = " \t\r\n"
_ESCAPES = 'bfnrt\\/"'
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class _Broken(Exception):
    """The text is no JSON; the message says why."""


def syntax_error(text: str) -> str:
    """Go's message; empty for a text that is JSON."""
    scanner = _Scanner(text + " ")  # so does Go at the end of a text
    try:
        scanner.value()
        scanner.blanks()
        if scanner.at < len(scanner.text):
            scanner.fail("after top-level value")
    except (_Broken, RecursionError) as error:
        return str(error) if isinstance(error, _Broken) else "exceeded max depth"
    return ""


@dataclass
class _Scanner:
    text: str
    at: int = 0

    @property
    def here(self) -> str:
        if self.at >= len(self.text):
            raise _Broken(END)
        return self.text[self.at]

    def fail(self, where: str) -> None:
        raise _Broken(f"invalid character {_quoted(self.here)} {where}")

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def value(self) -> None:
        self.blanks()
        if self.here == "{":
            self.members("}", self.member, "after object key:value pair")
        elif self.here == "[":
            self.members("]", self.value, "after array element")
        elif self.here == '"':
            self.string()
        elif self.here in _LITERALS:
            self.literal(_LITERALS[self.here])
        elif self.here in "-0123456789":
            self.number()
        else:
            self.fail("looking for beginning of value")

    def members(self, closing: str, member: object, after: str) -> None:
        self.at += 1
        self.blanks()
        if self.here == closing:
            self.at += 1
            return
        while True:
            member()  # type: ignore[operator]
            self.blanks()
            if self.here == closing:
                self.at += 1
                return
            if self.here != ",":
                self.fail(after)
            self.at += 1

    def member(self) -> None:
        self.blanks()
        if self.here != '"':
            self.fail("looking for beginning of object key string")
        self.string()
        self.blanks()
        if self.here != ":":
            self.fail("after object key")
        self.at += 1
        self.value()

    def string(self) -> None:
        self.at += 1
        while self.here != '"':
            if self.here < " ":
                self.fail("in string literal")
            if self.here == "\\":
                self.at += 1
                self.escape()
            self.at += 1
        self.at += 1

    def escape(self) -> None:
        if self.here == "u":
            for _ in range(4):
                self.at += 1
                if not re.match("[0-9a-fA-F]", self.here):
                    self.fail("in \\u hexadecimal character escape")
        elif self.here not in _ESCAPES:
            self.fail("in string escape code")

    def literal(self, word: str) -> None:
        for expected in word[1:]:
            self.at += 1
            if self.here != expected:
                self.fail(f"in literal {word} (expecting {_quoted(expected)})")
        self.at += 1

    def number(self) -> None:
        if self.here == "-":
            self.at += 1
            self.digit("in numeric literal")
        if self.here == "0":
            self.at += 1
        else:
            self.digits()
        if self.follows("."):
            self.digit("after decimal point in numeric literal")
            self.digits()
        if self.follows("eE"):
            if self.here in "+-":
                self.at += 1
            self.digit("in exponent of numeric literal")
            self.digits()

    def follows(self, chars: str) -> bool:
        found = self.at < len(self.text) and self.text[self.at] in chars
        self.at += found
        return found

    def digit(self, where: str) -> None:
        if self.here not in "0123456789":
            self.fail(where)

    def digits(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1


def _quoted(char: str) -> str:
    if char in "'\"":
        return {"'": r"'\''", '"': "'\"'"}[char]
    first = chr(char.encode()[0])  # Go looks at bytes, and shows one as a character
    return f"'{go_quoted(first)[1:-1]}'"
