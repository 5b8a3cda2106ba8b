"""Every decision of the driver that lies in data/ is ours, too, or is listed in deliberate.yaml."""

import pytest

from tests.vectors.comparing import DATA, DIFFER, NO_COUNTERPART, compare, family_of

DONE = ("config", "decisions", "images", "names", "recreate", "settings", "values")


@pytest.mark.parametrize("family", DONE)
def test_our_answers_are_the_driver_s(family):
    (file,) = (f for f in DATA.glob("*.jsonl.gz") if family_of(f) == family)
    verdicts = list(compare(file))
    assert verdicts
    wrong = {v.vector["id"]: v.differences or v.outcome for v in verdicts if v.outcome in (DIFFER, NO_COUNTERPART)}
    assert wrong == {}
