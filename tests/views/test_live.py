"""The progress display of a cell: one display, updated in place, rate-limited, folded at the end."""

from types import SimpleNamespace

from jfsnb.views.live import Live


def told(kind, text, source=""):
    return SimpleNamespace(kind=kind, text=text, source=source)


def make():
    shown, now = [], [0.0]

    def show(markup, text, waiting, handle):
        shown.append((markup, waiting, handle))
        return handle or "handle"

    return Live(show, lambda: now[0]), shown, now


def test_the_first_thing_told_opens_one_display_that_is_then_updated():
    live, shown, now = make()
    live(told("wait", "Pod Ready"))
    now[0] = 1.0
    live(told("event", "Pulled <image>", "pod/x"))
    assert [handle for _, _, handle in shown] == [None, "handle"]
    assert shown[-1][1] == "Pod Ready"
    assert "pod/x: Pulled &lt;image&gt;" in shown[-1][0]


def test_a_flood_of_lines_is_shown_twice_a_second_at_most_but_a_new_wait_at_once():
    live, shown, _ = make()
    for number in range(100):
        live(told("log", str(number)))
    assert len(shown) == 1
    live(told("wait", "the end"))
    assert len(shown) == 2


def test_closing_folds_everything_that_happened_and_the_next_cell_starts_anew():
    live, shown, now = make()
    live(told("log", "first"))
    live(told("log", "second"))
    now[0] = 3.0
    live.close()
    assert "2 lines, 3.0 s" in shown[-1][0]
    assert "second" in shown[-1][0]
    live(told("log", "third"))
    assert shown[-1][2] is None


def test_a_part_s_name_alone_is_not_worth_a_fold():
    live, shown, _ = make()
    live(told("step", "Who is who"))
    live.close()
    assert shown[-1][0] == ""


def test_a_cell_that_told_nothing_shows_nothing():
    live, shown, _ = make()
    live.close()
    assert shown == []
