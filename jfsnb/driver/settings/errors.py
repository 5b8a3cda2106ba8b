"""The driver's refusals."""

from __future__ import annotations

from jfsnb.errors import ConfigInvalid


class SettingsError(ConfigInvalid):
    """A volume's Secret, attributes or configuration cannot be used; the text is the driver's."""


class DriverPanics(SettingsError):
    """The driver's process crashes on it."""

    def __init__(self) -> None:
        super().__init__("panic: runtime error: invalid memory address or nil pointer dereference")


def invalid_argument(text: str) -> SettingsError:
    """The driver wraps some refusals in a status of its own, which then stands in the middle of the text."""
    return SettingsError(f"rpc error: code = InvalidArgument desc = {text}")
