"""Primitives for pictures, and how a picture gets into HTML: as an <img> with a data URI, which every host shows.

A picture brings its own ground and switches colours with the reader's light or dark preference.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html import escape

from jfsnb.i18n import translated, width
from jfsnb.redact import redact_text

STYLE = """
.bg{fill:#fbfcfd;stroke:#d5dbe3}.box{fill:#fff;stroke:#9aa7b8;stroke-width:1.2}.zone{fill:#eef2f7;stroke:#c3ccd8;stroke-dasharray:5 4}
.hot{fill:#e7f3ec;stroke:#1a7f45;stroke-width:2}.old{fill:#f3eefb;stroke:#6f5bb5;stroke-width:1.5}.warn{fill:#fdf3e2;stroke:#a15c00;stroke-width:1.5}
text{font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#1d2733;font-size:13px}
.t{font-weight:600;font-size:13px}.s{font-size:11.5px;fill:#4c5a6b}.m{font-family:ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;font-size:11.5px}
.h{paint-order:stroke;stroke:#fbfcfd;stroke-width:4px}.k{font-size:11px;fill:#5b6b7e;letter-spacing:.04em}.g{fill:#14683a;font-weight:600}.p{fill:#5946a0;font-weight:600}
.e{stroke:#5b6b7e;stroke-width:1.5;fill:none}.f{stroke:#1a7f45;stroke-width:2.2;fill:none}.d{stroke:#9aa7b8;stroke-width:1.2;fill:none;stroke-dasharray:4 4}
.head{fill:#5b6b7e}.headf{fill:#1a7f45}.wait{fill:#b9c4d2}.did{fill:#2f6fb3}
@media (prefers-color-scheme:dark){
.bg{fill:#161b22;stroke:#303945}.box{fill:#1f2731;stroke:#5f6d7e}.zone{fill:#1a212a;stroke:#414d5b}
.hot{fill:#12301f;stroke:#3fb950}.old{fill:#272040;stroke:#a391e8}.warn{fill:#33270f;stroke:#d29922}
text{fill:#e6edf3}.h{stroke:#161b22}.s{fill:#a9b6c5}.k{fill:#94a2b3}.g{fill:#56d364}.p{fill:#bcaef5}
.e{stroke:#94a2b3}.f{stroke:#3fb950}.d{stroke:#5f6d7e}.head{fill:#94a2b3}.headf{fill:#3fb950}.wait{fill:#4a5766}.did{fill:#4c93dd}
}
"""  # noqa: E501


@dataclass
class Drawing:
    """Collects shapes; `picture` turns it into HTML.

    Args:
        width, height: in pixels of the drawing.
        parts: SVG so far.
    """

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, w: float, h: float, kind: str = "box", radius: float = 8) -> None:
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius}"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start", room: float = 0) -> None:
        """One line; with ``room`` (pixels) a longer one is shortened in its middle, so that both ends can be read."""
        shown = escape(fit(translated(text), room, kind))
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{shown}</text>')

    def box(self, x: float, y: float, w: float, lines: list[tuple[str, str]], kind: str = "box") -> float:
        """A box with lines of (text, class) in it; returns its height."""
        height = 16 + 18 * len(lines)
        self.rect(x, y, w, height, kind)
        for number, (text, face) in enumerate(lines):
            self.text(x + 12, y + 22 + 18 * number, text, face, room=w - 24)
        return height

    def arrow(self, points: list[tuple[float, float]], kind: str = "e", both: bool = False) -> None:
        """A line through the points with a head at its end (and at its start)."""
        head = "headf" if kind == "f" else "head"
        path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path class="{kind}" d="{path}"/>')
        self._head(points[-2], points[-1], head)
        if both:
            self._head(points[1], points[0], head)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "d") -> None:
        self.parts.append(f'<path class="{kind}" d="M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}"/>')

    def _head(self, before: tuple[float, float], tip: tuple[float, float], kind: str) -> None:
        (x0, y0), (x, y) = before, tip
        length = max(((x - x0) ** 2 + (y - y0) ** 2) ** 0.5, 0.1)
        ux, uy = (x - x0) / length, (y - y0) / length
        left = (x - 9 * ux + 4.5 * uy, y - 9 * uy - 4.5 * ux)
        right = (x - 9 * ux - 4.5 * uy, y - 9 * uy + 4.5 * ux)
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in ((x, y), left, right))
        self.parts.append(f'<polygon class="{kind}" points="{points}"/>')

    def source(self, title: str) -> str:
        """The whole SVG document."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" role="img"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style>"
            f'<rect class="bg" x=".5" y=".5" width="{self.width - 1:.1f}" height="{self.height - 1:.1f}" rx="10"/>'
            f"{''.join(self.parts)}</svg>"
        )

    def picture(self, alt: str) -> str:
        """An <img> of it; ``alt`` says in words what it shows."""
        alt = translated(alt)
        data = base64.b64encode(redact_text(self.source(alt)).encode()).decode()
        return (
            f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}" width="{self.width:.0f}" '
            f'style="max-width:100%;height:auto;margin:8px 0;display:block">'
        )


def fit(text: str, room: float, kind: str = "") -> str:
    """The text, shortened in its middle to so many pixels (0: as it is)."""
    faces = kind.split()
    wide = 7.05 if "m" in faces else 6.5 if "s" in faces or "k" in faces else 8.3  # all others are bold
    if not room or width(text) * wide <= room:
        return text
    most = int(room / wide)
    tail = _upto(text[::-1], most * 3 // 5)[::-1]
    return f"{_upto(text, most - width(tail) - 1)}…{tail}"


def _upto(text: str, most: int) -> str:
    """As much of its beginning as has that width, at least one letter."""
    end = 1
    while end < len(text) and width(text[: end + 1]) <= most:
        end += 1
    return text[:end]
