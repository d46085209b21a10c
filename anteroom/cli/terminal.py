"""How things look on a terminal: sizes, local times, tables. Rich is loaded on use."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

STATE_COLOURS = {
    "in-pacs": "green",
    "stored": "green",
    "approved": "cyan",
    "review": "yellow",
    "unmatched": "yellow",
    "asked": "yellow",
    "waiting": "yellow",
    "failed": "red",
    "declined": "red",
    "refused": "red",
    "quarantined": "red",
    "not-sent": "red",
}


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def local(instant: str | None) -> str:
    """An instant of the API in this machine's zone."""
    if not instant:
        return ""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def day(text: str) -> str:
    """A DICOM date as people read it."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else text


def plain(text: object) -> str:
    """From outside (a file name, a patient name): no control signs reach the terminal."""
    return "".join(c if c.isprintable() else "�" for c in str(text))


def person(patient: dict[str, Any]) -> str:
    """Family, Given (ID) from Demographics."""
    group = str(patient.get("name") or "").split("=")[0]
    parts = [part for part in group.split("^") if part]
    name = plain(", ".join([*parts[:1], " ".join(parts[1:])]).strip(", ")) or "(no name)"
    number = plain(patient.get("patient_id") or "")
    return f"{name} ({number})" if number else name


def coloured(state: str) -> str:
    return click.style(state, fg=STATE_COLOURS.get(state))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table on stdout; every cell is text from outside until proved otherwise."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        cells = [plain(cell) for cell in row]
        made.add_row(*(Text(cell, style=STATE_COLOURS.get(cell, "")) for cell in cells))
    console.print(made)


def json_out(value: object) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=None if isinstance(value, list) else 2))
