"""What the site needs beside its pages: hooks of MkDocs.

Pages of the root, such as ARCHITECTURE.md, and notebooks become pages of the site. Links to other
files lead to the repository. A notebook shows its outputs where `make notebooks` has run it.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = ROOT / "build" / "notebooks"
FROM_ROOT = {
    name: f"{name.split('.')[0].lower()}.md"
    for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LOG.md", "SECURITY.md")
}
NOTEBOOKS = {
    f"notebooks/{path.name}": f"notebooks/{path.stem}.md"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)((?:#[^)\s]*)?)(?=\))")
_FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
_MEMBERS = re.compile(r"^<!-- members of (residua[\w.]*) -->$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MOST_TEXT = 6_000  # characters of an output


def repository() -> str:
    """The address of the repository, which pyproject.toml alone states."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])


def on_config(config: Any) -> Any:
    """Give every star of the navigation its pages."""
    config.nav = _spread(config.nav)
    named = {*_named(config.nav), *FROM_ROOT.values()}
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    if unlisted := sorted(set(pages) - named):  # a new page is never lost
        config.nav.append({"More": unlisted})
    config.repo_url = repository()
    config.repo_name = "residua"
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/."""
    for name, page in FROM_ROOT.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for name, page in NOTEBOOKS.items():
        run = EXECUTED / Path(name).name
        text, pictures = notebook_page(run if run.exists() else ROOT / name, Path(page).stem)
        files.append(File.generated(config, page, content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{picture}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links as they hold in the repository into links as they hold in the site."""
    source = page.file.src_uri
    shown = {page: name for name, page in {**FROM_ROOT, **NOTEBOOKS}.items()}
    here = posixpath.dirname(shown.get(source, f"docs/{source}"))

    def turned(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, found[1]))
        inside = {**FROM_ROOT, **NOTEBOOKS}.get(target)
        if inside is None and target.startswith("docs/") and (ROOT / target).is_file():
            inside = target.removeprefix("docs/")
        if inside is not None:
            return posixpath.relpath(inside, posixpath.dirname(source) or ".") + found[2]
        if (ROOT / target).exists():
            return f"{repository()}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"
        return found[0]  # MkDocs names it as broken

    parts = _FENCE.split(markdown)
    parts[::2] = [_MEMBERS.sub(_members, _LINK.sub(turned, part)) for part in parts[::2]]
    return "".join(parts)


def on_post_build(config: Any) -> None:
    """Nothing of the site may be loaded from elsewhere."""
    wanted = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="(https?://[^"]+)""")
    for page in Path(config.site_dir).rglob("*.html"):
        found = [
            address
            for address in wanted.findall(page.read_text(encoding="utf-8"))
            if "canonical" not in address
        ]
        if found:
            raise SystemExit(f"{page}: loads {found[0]} from elsewhere")


def notebook_page(path: Path, stem: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by their names."""
    import base64

    pages: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            pages.append(text)
            continue
        pages.append(f"```python\n{text}\n```")
        said = ""
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            html = "".join(data.get("text/html", ()))
            if "image/png" in data:
                name = f"{stem}-{len(pictures)}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                pages.append(f"![What the cell draws]({name})")
            elif html and not html.startswith("<pre"):  # which a console wraps its text in
                pages.append(f'<div class="output">{html.replace(chr(10), " ")}</div>')
            elif output.get("name") != "stderr":
                said += "".join(output.get("text", data.get("text/plain", ())))
        said = _COLOUR.sub("", said).strip("\n")[:_MOST_TEXT]
        if said.strip():
            pages.append(f"```text\n{said}\n```")
    pages.append(
        f"This page is the notebook [{path.name}]({repository()}/blob/main/notebooks/{path.name})."
    )
    return "\n\n".join(pages) + "\n", pictures


def _members(found: re.Match[str]) -> str:
    """A block of mkdocstrings for each public name of a module, without importing it."""
    module = found[1]
    path = ROOT / "src" / Path(*module.split("."), "__init__.py")
    if not path.exists():
        path = path.parent.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literals = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in {"__all__", "_WHERE"}
    }
    places = literals.get("_WHERE", {})
    public = literals.get("__all__") or [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    names = [name for name in public if not places or name in places]
    full = [f"{module}.{places[name]}.{name}" if places else f"{module}.{name}" for name in names]
    return "\n\n".join(f"::: {name}" for name in full)


def _spread(entries: Any, named: set[str] | None = None) -> Any:
    named = set(_named(entries)) if named is None else named
    spread: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            spread.append(
                {
                    title: _spread(rest, named) if isinstance(rest, list) else rest
                    for title, rest in entry.items()
                }
            )
        elif entry.endswith("/*"):
            folder = entry.removesuffix("/*")
            found = [
                f"{folder}/{path.name}" for path in sorted((ROOT / "docs" / folder).glob("*.md"))
            ]
            found += [page for page in NOTEBOOKS.values() if page.startswith(f"{folder}/")]
            spread += [page for page in found if page not in named]
        else:
            spread.append(entry)
    return spread


def _named(entries: Any) -> list[str]:
    names: list[str] = []
    for entry in entries:
        if isinstance(entry, dict):
            for rest in entry.values():
                names += _named(rest if isinstance(rest, list) else [rest])
        else:
            names.append(entry)
    return names
