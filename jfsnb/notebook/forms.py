"""Pieces of forms for JupyterLab. Only controls are widgets; what they answer is the same HTML that a report shows.

Callbacks run in the kernel's main thread and their errors would vanish into a log, so every one is guarded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jfsnb.i18n import say
from jfsnb.views import html


def guarded(shown: Any, act: Callable[[], str]) -> Callable[[Any], None]:
    """A callback that puts what ``act`` answers (HTML), or the error that it met, into an HTML widget."""

    def react(_: Any) -> None:
        shown.value = html.escape(say("asking …"))
        try:
            shown.value = act()
        except Exception as error:
            shown.value = html.trouble(error)

    return react


def form(controls: Sequence[Any], button: str, act: Callable[[], str], above: str = "") -> Any:
    """Controls in a row with a button; what ``act`` answers appears below.

    Args:
        above: HTML that explains the form.
    """
    import ipywidgets

    press = ipywidgets.Button(description=say(button), button_style="primary", layout={"width": "auto"})
    shown = ipywidgets.HTML(layout={"width": "100%"})
    react = guarded(shown, act)
    press.on_click(react)
    for control in controls:
        if isinstance(control, ipywidgets.Text):
            control.continuous_update = False
    row = ipywidgets.HBox([*controls, press], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([*([ipywidgets.HTML(above)] if above else []), row, shown])


def dropdown(label: str, options: Sequence[str], value: str = "", free: bool = False) -> Any:
    """A chooser; with ``free`` something else may be written, too."""
    import ipywidgets

    style = {"description_width": "initial"}
    if free:
        return ipywidgets.Combobox(description=say(label), options=list(options), value=value, style=style)
    known = list(dict.fromkeys([*([value] if value else []), *options]))
    return ipywidgets.Dropdown(description=say(label), options=known, value=value or None, style=style)


def text(label: str, placeholder: str = "") -> Any:
    """A line to write in."""
    import ipywidgets

    return ipywidgets.Text(description=say(label), placeholder=say(placeholder), style={"description_width": "initial"})
