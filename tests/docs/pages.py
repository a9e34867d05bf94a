"""Reading the documentation's pages: their code blocks, links and headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_NEEDS = re.compile(r"<!--\s*needs:\s*(\w+)\s*-->")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it starts on, and the test data it needs
    (None: none)."""

    language: str
    text: str
    line: int
    needs: str | None


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of `page` in one of `languages`; in all, if none is named."""
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    lines: list[str] = []
    needs = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if opened is None and (fence := re.fullmatch(r"```([\w-]*)\s*", line)):
            opened, lines = (fence[1], number + 1), []
        elif opened is not None and line.strip() == "```":
            found.append(Block(opened[0], "\n".join(lines), opened[1], needs))
            opened, needs = None, None
        elif opened is not None:
            lines.append(line)
        elif marker := _NEEDS.search(line):
            needs = marker[1]
        elif line.strip():
            needs = None
    assert opened is None, (
        f"{name_of(page)}: the block opened on line {opened and opened[1] - 1} is never closed"
    )
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def links(page: Path) -> list[str]:
    """Targets of the links that stay inside the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """What `#...` may follow the page's name: its headings as they are written in addresses."""
    headings = re.findall(r"^#+\s+(.*)$", prose(page), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }
