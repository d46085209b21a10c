"""Which texts the templates and pages use: what a catalogue has to hold."""

import ast
from pathlib import Path

from jinja2 import Environment

_REFUSALS = ("Refused", "Forbidden", "NotFound", "Gone", "Stale", "Unauthorized", "Crowded")
_CALLS = {"tell": 1, "see_other": 2, **dict.fromkeys(_REFUSALS, 1)}
"""Functions that take a text of the catalogue, and at which place."""
_PORTAL = Path(__file__).parents[3] / "services" / "portal"


def in_templates() -> dict[str, str]:
    """Text (plural forms parted by a bar) and where it stands."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    found = {}
    for path in sorted((_PORTAL / "templates").rglob("*.html")):
        for line, _, message in environment.extract_translations(path.read_text("utf-8")):  # type: ignore[attr-defined]
            parts = message if isinstance(message, tuple) else (message,)
            text = " | ".join(part for part in parts if isinstance(part, str))
            found[text] = f"{path.relative_to(_PORTAL)}:{line}"
    return found


def in_pages() -> dict[str, str]:
    """Texts that code of the portal shows: messages, refusals."""
    found = {}
    for path in sorted(_PORTAL.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = _CALLS.get(node.func.id)
            if place is None or len(node.args) <= place:
                continue
            text = node.args[place]
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value:
                found[text.value] = f"{path.relative_to(_PORTAL)}:{node.lineno}"
    return found
