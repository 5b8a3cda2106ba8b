"""Reading Dockerfiles."""

import pytest

from jfsnb.builder.dockerfile import expand, instructions, parse
from jfsnb.errors import UsageError


def test_stages_flags_continuation_and_comments():
    text = """\
# syntax=docker/dockerfile:1
ARG BASE=debian:12
FROM ${BASE} AS build
RUN a && \\
    # a comment in between
    b
COPY --from=build --chmod=755 x /y/

FROM scratch
CMD ["/y/x", "serve"]
"""
    first, second = parse(text, {"BASE": "alpine:3"})
    assert (first.name, first.base, second.name, second.base) == ("build", "alpine:3", "1", "scratch")
    run, copy = first.instructions
    assert run.rest.split() == ["a", "&&", "b"] and run.line == 4
    assert copy.flags == {"from": "build", "chmod": "755"} and copy.words == ("x", "/y/")
    assert second.instructions[0].argv == ("/y/x", "serve")
    assert parse(text)[0].base == "debian:12"


def test_pairs_in_both_forms():
    found = instructions('FROM a\nENV A=1 B="two words"\nENV OLD some value\nLABEL x.y="z"')
    assert [i.pairs for i in found[1:]] == [{"A": "1", "B": "two words"}, {"OLD": "some value"}, {"x.y": "z"}]


@pytest.mark.parametrize(
    ("text", "value"),
    [("$A/b", "1/b"), ("${A}b", "1b"), ("${N:-d}", "d"), ("${A:+i}", "i"), (r"\$A", "$A"), ("$N", "")],
)
def test_variables(text, value):
    assert expand(text, {"A": "1"}) == value


@pytest.mark.parametrize("text", ["", "RUN x", "FROM", "FROM a b", "FROM a\nFOO x", "FROM a\nRUN <<EOF\nx\nEOF"])
def test_what_cannot_be_carried_out_is_refused_with_its_line(text):
    with pytest.raises(UsageError):
        parse(text)
