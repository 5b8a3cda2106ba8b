"""Parameters are read from the notebook's source; what it does not declare, or in another type, is refused."""

import pytest

from jfsnb.errors import UsageError
from jfsnb.report.parameters import declared, typed

CELL = """namespace: str = "juicefs-system"  # where
timeout: int = 120
keep: bool = False
ratio: float = 0.5
nodes: list[str] = []
selector: str = "app=x"
"""


@pytest.fixture
def known(notebook):
    return declared(notebook("a", parameters=CELL))


def test_names_types_and_defaults_come_from_the_source_also_with_an_equals_sign_in_the_value(known):
    assert list(known) == ["namespace", "timeout", "keep", "ratio", "nodes", "selector"]
    assert known["selector"].default == "app=x"
    assert known["nodes"].type_name == "list[str]"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"keep": "false"}, False),
        ({"keep": "Yes"}, True),
        ({"namespace": "0123"}, "0123"),
        ({"namespace": "true"}, "true"),
        ({"timeout": "30"}, 30),
        ({"ratio": 2}, 2.0),
        ({"nodes": '["a"]'}, ["a"]),
        ({"nodes": ["a"]}, ["a"]),
    ],
)
def test_text_becomes_the_declared_type(known, given, value):
    (found,) = typed(given, known).values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "given", [{"keep": "maybe"}, {"keep": 1}, {"timeout": "2m"}, {"timeout": True}, {"namespace": 123}, {"nodes": "a"}]
)
def test_what_does_not_fit_is_refused_with_the_parameter_s_name(known, given):
    with pytest.raises(UsageError, match=next(iter(given))):
        typed(given, known)


def test_an_unknown_name_is_refused_with_the_nearest_one(known):
    with pytest.raises(UsageError) as refused:
        typed({"namspace": "x"}, known)
    assert "namespace" in refused.value.next_step


def test_a_name_that_is_code_is_refused(known):
    with pytest.raises(UsageError):
        typed({"open('/tmp/x','w'); y": 1}, known)


@pytest.mark.parametrize("cell", ["x = 1", "x: int = 1 + y", "x: Path = 'a'", "import os"])
def test_a_parameters_cell_that_is_not_plain_is_refused(notebook, cell):
    with pytest.raises((UsageError, ValueError)):
        declared(notebook("b", parameters=cell))
