"""What became of everything that was sent: for people a table, for programs one object."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from anteroom.cli.studies import SHORT
from anteroom.cli.terminal import coloured, plain, table
from anteroom.client.files import LeftOut

STATES = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")
PROBLEMS = ("quarantined", "refused", "waiting", "not-sent")
_ALIKE = 20
_FIELDS = ("file", "path", "state", "code", "text", "kind", "study")


def assemble(
    outcome: dict[str, Any], files: Sequence[dict[str, Any]], left_out: Sequence[LeftOut]
) -> dict[str, Any]:
    """The object of `send --json`: the sums of what was sent, and every file. Files that could not be
    read here are in `files` as not-sent and counted by `not_sent` alone."""
    rows = [{key: file.get(key, "") for key in _FIELDS} for file in files]
    rows += [
        {**dict.fromkeys(_FIELDS, ""), "path": f.path, "state": "not-sent", "code": f.code, "text": f.text}
        for f in left_out
    ]
    return {
        "submission": outcome["submission"],
        "state": outcome["state"],
        "sent": outcome["sent"],
        **{state: outcome[state] for state in STATES},
        "not_sent": len(left_out),
        "findings": outcome.get("findings", []),
        "discs": outcome.get("discs", []),
        "studies": outcome.get("studies", []),
        "files": rows,
    }


def exit_status(report: dict[str, Any]) -> int:
    """0: everything was taken. 3: something was refused, put aside, still waits or could not be read."""
    problems = report["refused"] + report["quarantined"] + report["waiting"] + report["not_sent"]
    return 3 if problems else 0


def show(report: dict[str, Any]) -> None:
    """Problems first and by name, the rest as sums."""
    rows = sorted(
        (row for row in report["files"] if row["state"] in PROBLEMS),
        key=lambda row: (PROBLEMS.index(row["state"]), row["code"], row["path"]),
    )
    seen: Counter[tuple[str, str]] = Counter()
    shown: list[list[str]] = []
    for row in rows:
        alike = (row["state"], row["code"])
        seen[alike] += 1
        if seen[alike] <= _ALIKE:
            shown.append([row["state"], row["path"], row["text"] or row["code"]])
    if shown:
        table(["state", "file", "why"], shown)
    for (state, code), count in seen.items():
        if count > _ALIKE:
            click.echo(
                f"… and {count - _ALIKE} more files {state} for the same reason ({code}); --json lists all."
            )
    noted = Counter(row["text"] for row in report["files"] if row["text"] and row["state"] not in PROBLEMS)
    for text, count in noted.most_common(10):
        click.echo(f"{count} file{'s' if count > 1 else ''}: {plain(text)}")
    told = {row["text"] for row in report["files"]}
    for finding in report["findings"]:
        if finding["text"] not in told:
            click.echo(f"{finding['severity']}: {plain(finding['text'])}")
    _missing(report["discs"])
    _sums(report)
    _studies(report["studies"])


def show_left_out(report: dict[str, Any]) -> None:
    """Only what could not be read here: of the rest nothing is known yet."""
    rows = [[row["state"], row["path"], row["text"]] for row in report["files"] if row["state"] == "not-sent"]
    if rows:
        table(["state", "file", "why"], rows[:_ALIKE])
    if len(rows) > _ALIKE:
        click.echo(f"… and {len(rows) - _ALIKE} more that could not be read.")


def _sums(report: dict[str, Any]) -> None:
    parts = [f"{report[state]} {state}" for state in STATES if report[state]] or ["0"]
    click.echo(f"sent {report['sent']} = {' + '.join(parts)}")
    if report["not_sent"]:
        click.echo(f"{report['not_sent']} more could not be read here and were not sent.")


def _missing(discs: Sequence[dict[str, Any]]) -> None:
    """What a disc's own index lists and did not come, by the names it gives."""
    for disc in discs:
        for name in disc["missing"][:_ALIKE]:
            click.echo(f"  missing: {plain(name)}")
        if disc["missing_count"] > _ALIKE:
            click.echo(f"  … and {disc['missing_count'] - _ALIKE} more")


def _studies(studies: Sequence[Any]) -> None:
    for study in studies:
        if isinstance(study, dict):
            state = f"  {coloured(study['state'])}" if study.get("state") else ""
            click.echo(f"study {study['id'][:SHORT]}{state}")
        else:
            click.echo(f"study {str(study)[:SHORT]}")
