"""The report's style, bounded to what residua shows, for the theme of the notebook around it."""

from __future__ import annotations

import re
from functools import cache

from residua.evaluation.report.page import asset

ROOT = "residua"
# What says that a notebook is light or dark, whatever the system's theme: Jupyter, VS Code, Colab.
_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", 'html[theme="light"]')
_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLES = re.compile(r":root \{([^}]*)\}")


@cache
def style() -> str:
    """The style sheet; every rule holds within ``.residua`` alone.

    >>> all(f".{ROOT}" in selector for selector, _ in _RULE.findall(style()))
    True
    """
    base = asset("base.css")
    light, dark = _VARIABLES.findall(base)
    dark = f"{dark} color-scheme: dark;"
    rules = base.partition("* { box-sizing")
    return "\n".join(
        (
            f".{ROOT} {{{light} color-scheme: light; }}",
            f"@media (prefers-color-scheme: dark) {{ .{ROOT} {{{dark} }} }}",
            _themed(_DARK, dark),
            _themed(_LIGHT, f"{light} color-scheme: light;"),
            scoped(f"{rules[1]}{rules[2]}\n{asset('notebook.css')}"),
        )
    )


def _themed(hosts: tuple[str, ...], variables: str) -> str:
    return f"{', '.join(f'{host} .{ROOT}' for host in hosts)} {{{variables} }}"


def scoped(css: str) -> str:
    """`css` with every selector bounded to what residua shows; ``:root`` is its outermost element.

    The class stands twice, so that a notebook's own rules for tables do not win.

    >>> scoped(":root { margin: 0; } th, td { color: red; }")
    '.residua.residua { margin: 0; } .residua.residua th, \
.residua.residua td { color: red; }'
    """
    own = f".{ROOT}.{ROOT}"

    def bounded(rule: re.Match[str]) -> str:
        selectors = (one.strip() for one in re.split(r",(?![^(]*\))", rule[1]))
        named = ", ".join(own if one == ":root" else f"{own} {one}" for one in selectors)
        space = rule[1][: len(rule[1]) - len(rule[1].lstrip())]
        return f"{space}{named} {{{rule[2]}}}"

    return _RULE.sub(bounded, css)
