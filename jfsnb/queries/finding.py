"""The answer to a read-only question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.checks.model import CheckResult, Verdict, overall
from jfsnb.queries.model import Table


@dataclass(frozen=True)
class Finding:
    """An answer to a question.

    Args:
        rows: the table that answers it.
        checks: what was judged.
        tables: further tables, by a few words that say what they are.
    """

    rows: Table
    checks: tuple[CheckResult, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Worst verdict; N/A where nothing was judged, or all is well but there is nobody of whom to say it."""
        worst = overall(c.verdict for c in self.checks) if self.checks else Verdict.NA
        return Verdict.NA if worst is Verdict.PASS and not self.rows else worst

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "verdict": str(self.verdict),
            "rows": list(self.rows),
            "tables": {name: list(rows) for name, rows in self.tables.items()},
            "checks": [check.to_dict() for check in self.checks],
        }
