"""`anteroom send`: the sender's side of a submission."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from anteroom.cli import report
from anteroom.cli.connection import Failure, connected
from anteroom.cli.progress import Bar, Lines, watcher
from anteroom.cli.terminal import json_out, plain, size
from anteroom.client.api import Api, ApiError, Unreachable
from anteroom.client.files import Selection, select
from anteroom.client.submission import Interrupted, Sent, Wishes
from anteroom.client.submission import send as send_all

_PAGE = 1000
_STUCK = 30.0
_SILENT = 900.0
"""Files that wait (for the virus scanner, for room) are waited for this long after all others are done."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--note", default="", help="For the receiver.")
@click.option("--purpose", default="", help="Why it is sent, such as: second opinion.")
@click.option("--recipient", "recipients", multiple=True, metavar="EMAIL", help="Whom to tell; may repeat.")
@click.option("--urgent", is_flag=True)
@click.option("--wait/--no-wait", default=True, help="Wait until every file was checked.  [default: wait]")
@click.option("--connections", default=4, show_default=True, type=click.IntRange(1, 8))
@click.option("--patience", default=120, show_default=True, help="Seconds to wait for a server that is away.")
@click.option("--client-id", default="", help="Name of this sending. Default: made from the files.")
@click.option("--again", is_flag=True, help="Send even though the same files were sent before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@connected
def send(api: Api, paths: tuple[Path, ...], as_json: bool, wait: bool, again: bool, **options: Any) -> None:
    """Send files, folders (whole), ZIPs and disc images.

    When it breaks off, the same command goes on where it was. Exit status: 0 everything was taken;
    3 something was refused, put aside, still waits or could not be read; 1 it did not work.
    """
    selection = select(paths)
    if not selection.files:
        for left in selection.left_out:
            click.echo(f"{plain(left.path)}: {left.text}", err=True)
        raise Failure("There is nothing to send.")
    wishes = Wishes(
        note=options["note"],
        purpose=options["purpose"],
        urgent=options["urgent"],
        recipients=options["recipients"],
        client_id=_client_id(options["client_id"], again, selection),
    )
    count = len(selection.files)
    click.echo(f"{count} {'file' if count == 1 else 'files'}, {size(selection.bytes)}", err=True)
    with watcher(selection.bytes, len(selection.files), quiet=as_json) as shown:
        sent = _send(api, selection, wishes, shown, options["connections"], options["patience"])
        _tell_resumed(sent)
        outcome = _wait(api, sent.submission_id, shown) if wait else _outcome(api, sent.submission_id)
    files = _files(api, sent.submission_id)
    made = report.assemble({**outcome, "submission": sent.submission_id}, files, sent.left_out)
    if as_json:
        json_out(made)
    elif wait:
        report.show(made)
    else:
        report.show_left_out(made)
        click.echo(
            f"{outcome['sent']} files arrived and are being checked. The same command again tells more."
        )
    sys.exit(report.exit_status(made) if wait or sent.left_out else 0)


def _client_id(given: str, again: bool, selection: Selection) -> str:
    if given or not again:
        return given
    return f"{selection.client_id()[:44]}-{time.time_ns():x}"


def _send(
    api: Api, selection: Selection, wishes: Wishes, shown: Lines | Bar, connections: int, patience: float
) -> Sent:
    try:
        return send_all(api, selection, wishes, shown, connections=connections, patience=patience)
    except KeyboardInterrupt:
        raise Interrupted("Stopped. What arrived is kept: run the same command again to go on.") from None


def _tell_resumed(sent: Sent) -> None:
    if sent.before:
        click.echo(
            "These files were sent before, unchanged. What became of them (--again sends anew):", err=True
        )
    elif sent.resumed:
        click.echo(f"Went on after a break: {sent.resumed} files were there already.", err=True)


def _wait(api: Api, submission_id: str, shown: Lines | Bar) -> dict[str, Any]:
    """Poll until every file has its state. Give up on those that wait for something else, and where
    nothing moves for a long time: an operator then finds the event among the dead letters."""
    pause, moved, last = 0.1, 0.0, ("", -1)
    try:
        while True:
            outcome = _outcome(api, submission_id)
            settled = outcome["sent"] - outcome["waiting"]
            shown.checking(settled, outcome["sent"])
            if outcome["state"] == "validated" and outcome["waiting"] == 0:
                return outcome
            now = time.monotonic()
            if (outcome["state"], settled) != last:
                moved, last = now, (outcome["state"], settled)
            elif now - moved > (_STUCK if outcome["state"] == "validated" else _SILENT):
                return outcome
            time.sleep(pause)
            pause = min(pause * 1.3, 1.0)
    except KeyboardInterrupt:
        raise Interrupted(
            "Everything arrived, and is being checked. The same command again shows what became of it."
        ) from None


def _outcome(api: Api, submission_id: str) -> dict[str, Any]:
    """The sums. Straight after closing, the checking side may not know the submission yet."""
    for _ in range(100):
        try:
            return dict(api.get(f"/api/submissions/{submission_id}/outcome", limit=0))
        except ApiError as error:
            if error.status != 404 and not error.passing:
                raise
        except Unreachable:
            pass
        time.sleep(0.3)
    return dict(api.get(f"/api/submissions/{submission_id}/outcome", limit=0))


def _files(api: Api, submission_id: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.get(f"/api/submissions/{submission_id}/outcome", limit=_PAGE, cursor=cursor)
        rows += page["files"]
        cursor = page.get("cursor")
        if not cursor:
            return rows
