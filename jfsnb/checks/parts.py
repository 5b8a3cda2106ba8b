"""Parts of a snapshot: a value, or why there is none. Nobody can take the one for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

from jfsnb.checks.codes import Unreadable
from jfsnb.errors import JfsnbError

T = TypeVar("T")
U = TypeVar("U")
NOT_READ = Unreadable("nobody has read it")


class NotRead(JfsnbError):
    """Something was needed that could not be read.

    Args:
        part: its name. unreadable: why.
    """

    def __init__(self, part: str, unreadable: Unreadable) -> None:
        super().__init__(f"{part}: {unreadable.why}", "make it readable and look again")
        self.unreadable = Unreadable(f"{part}: {unreadable.why}")


class Part(Generic[T]):
    """A field of a snapshot. It is given a value or an Unreadable; who reads an Unreadable meets NotRead."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, snapshot: None, owner: type) -> T: ...
    @overload
    def __get__(self, snapshot: object, owner: type) -> T: ...
    def __get__(self, snapshot: Any, owner: type) -> Any:
        if snapshot is None:
            return NOT_READ  # the default of the field
        value = snapshot.__dict__[self.name]
        if isinstance(value, Unreadable):
            raise NotRead(self.name, value)
        return value

    def __set__(self, snapshot: Any, value: T | Unreadable) -> None:
        snapshot.__dict__[self.name] = value


class Each(Mapping[str, T]):
    """What was read object by object. As a mapping it holds what could be read.

    Args:
        found: name → value, or why there is none.

    Attributes:
        unread: name → why there is none.
    """

    def __init__(self, found: Mapping[str, T | Unreadable] | None = None) -> None:
        found = found or {}
        self._read = {name: value for name, value in found.items() if not isinstance(value, Unreadable)}
        self.unread = {name: value for name, value in found.items() if isinstance(value, Unreadable)}

    def __getitem__(self, name: str) -> T:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def of(self, name: str) -> T | Unreadable:
        """The value, or why there is none."""
        return self._read[name] if name in self._read else self.unread.get(name, NOT_READ)

    def map(self, change: Callable[[T], U | Unreadable]) -> Each[U]:
        """The same with other values."""
        return Each({**{name: change(value) for name, value in self._read.items()}, **self.unread})

    def __repr__(self) -> str:
        return f"Each({len(self._read)} read, {len(self.unread)} not)"


class EachPart(Part[Each[T]]):
    """A part that is read object by object; a plain mapping becomes an Each."""

    def __set__(self, snapshot: Any, value: Mapping[str, T] | Mapping[str, T | Unreadable] | Unreadable) -> None:
        each = value if isinstance(value, Each | Unreadable) else Each(value)
        snapshot.__dict__[self.name] = each


class AskedPart(EachPart[T]):
    """Like EachPart, for what is asked only when it is wished: nothing asked is no error."""

    def __get__(self, snapshot: Any, owner: type) -> Any:
        return None if snapshot is None else super().__get__(snapshot, owner)

    def __set__(self, snapshot: Any, value: Any) -> None:
        super().__set__(snapshot, {} if value is None else value)
