"""Tables as DataFrames, for readers who want to go on with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> pandas.DataFrame:
    """Rows as a DataFrame with the columns in their documented order, also when there are no rows."""
    import pandas

    return pandas.DataFrame([dict(row) for row in rows], columns=list(columns) or None)


def frames(data: Mapping[str, Any]) -> dict[str, pandas.DataFrame]:
    """Every table of a part's data by its name."""
    return {
        name: frame(rows)
        for name, rows in data.items()
        if isinstance(rows, list | tuple) and rows and isinstance(rows[0], Mapping)
    }
