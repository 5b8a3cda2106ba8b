"""Quantities; the driver's own are in tests/vectors (values/quantity), here is what the API server must get right."""

import pytest

from jfsnb.driver.settings.quantity import Quantity, canonical, value_of


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "1000m": "1",
        "1500m": "1500m",
        "1024Mi": "1Gi",
        "1.5Gi": "1536Mi",
        "0.1": "100m",
        "1e3": "1e3",
        "1000k": "1M",
        "10Pi": "10Pi",
        "0": "0",
        "-5": "-5",
        "+1": "+1",
    }.items(),
)
def test_canonical(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["1.2.3", "", "1\n", " 1", "1 Gi", "1kk", "two", "1e"])
def test_what_is_no_quantity(text):
    assert value_of(text) is None
    with pytest.raises(ValueError):
        canonical(text)


def test_values_are_rounded_up_and_overflow_as_in_go():
    assert (Quantity.of("1500m").value, Quantity.of("-1500m").value) == (2, -2)
    assert Quantity.of("100E").value == 0
