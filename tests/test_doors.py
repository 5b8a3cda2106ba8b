"""The doors between the rooms: who may import whom (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jfsnb"
DOORS = {
    "driver": {"errors"},
    "errors": set(),
    "settings": {"errors", "driver"},
    "cluster": {"errors", "settings"},
    "builder": {"errors"},
    "checks": {"driver", "cluster", "settings", "errors", "builder"},
    "queries": {"driver", "cluster", "settings", "errors", "checks", "builder"},
    "run": {"driver", "cluster", "settings", "errors", "checks", "builder", "queries"},
    "i18n": set(),
    "views": {"checks", "i18n"},
    "report": {"settings", "views", "checks", "run", "queries", "errors", "i18n"},
    "sandbox": {"driver", "errors", "builder"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: relative import; write it out, so that the doors can be seen")
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "jfsnb":
            names = [f"jfsnb.{a.name}" for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        rooms |= {n.split(".")[1] for n in names if n.startswith("jfsnb.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_through_the_doors(path):
    room = room_of(path)
    if room not in DOORS:
        return  # cli, lessons, __init__: the entrance, which may use every room
    assert imported_rooms(path) - {room} <= DOORS[room]
