"""Forms for people; without a front end the same facts as a table, and no widget is made."""

from __future__ import annotations

from typing import Any

from jfsnb.notebook import investigate
from jfsnb.notebook.session import is_interactive
from jfsnb.views.html import escape


def pod(at: investigate.AtHand) -> Any:
    """Choose one of the served Pods and see who serves it."""
    if not is_interactive():
        return investigate.list_served(at)
    import ipywidgets

    names = investigate.served_pods(at)
    choice = ipywidgets.Combobox(options=names, value=names[0] if names else "", description="app Pod")
    button = ipywidgets.Button(description="Who serves it?")
    answer = ipywidgets.HTML()

    def ask(_: Any) -> None:
        answer.value = "asking …"
        try:
            answer.value = investigate.verify(at, choice.value)._repr_html_()
        except Exception as error:  # a callback's exception would vanish into a log
            answer.value = f"<b>{escape(type(error).__name__)}</b>: {escape(str(error))}"

    button.on_click(ask)
    return ipywidgets.VBox([ipywidgets.HBox([choice, button]), answer])
