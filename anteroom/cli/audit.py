"""`anteroom audit`: whether the audit trail is as it was written."""

from typing import Any

import click

from anteroom.cli.connection import Failure, connected
from anteroom.client.api import Api

_BEGIN = "0" * 64
_SAID = {
    "missing": "An entry is missing there.",
    "out of place": "An entry stands where it does not belong.",
    "changed": "The entry was changed.",
    "older": "Entries from before the chain were changed, taken out or put in.",
    "foreign": "There are entries that nobody entered here: without a number of the chain.",
}


@click.group()
def audit() -> None:
    """The audit trail: who did what, and who looked at what."""


class _Mark(click.ParamType[tuple[int, str]]):
    """NUMBER:HASH, as an earlier check printed it."""

    name = "number:hash"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, str]:
        number, _, mark = str(value).partition(":")
        if not number.isdecimal() or len(mark) != 64:
            self.fail("NUMBER:HASH, as an earlier check printed it", param, ctx)
        return int(number), mark


@audit.command("verify")
@click.option("--since", type=_Mark(), help="The end that an earlier check printed: it must still be there.")
@connected
def verify(api: Api, since: tuple[int, str] | None) -> None:
    """Check that no entry was changed, taken out or put in. Status 1 when one was.

    Note the end it prints somewhere else: cutting entries off at the end is found by it alone.
    """
    seq, mark = 0, _BEGIN
    noted = since is None
    while True:
        found = api.get("/api/audit/chain", after=seq, hash=mark, limit=_steps(seq, since))
        seq, mark = found["seq"], found["hash"]
        if found["broken_at"] is not None:
            where = f" at entry {found['broken_at']}" if found["broken_at"] else ""
            raise Failure(f"The trail does not hold{where}. {_SAID[found['reason']]}")
        if since is not None and seq == since[0]:
            if mark != since[1]:
                raise Failure(f"Entry {seq} is not the one that was noted: the trail was written anew.")
            noted = True
        if found["end"]:
            break
    if not noted and since is not None:
        raise Failure(f"The trail ends at entry {seq}, but {since[0]} were noted: its end was cut off.")
    click.echo(f"The trail holds: {seq:,} entries, none changed.")
    if found["unchained"]:
        click.echo(f"{found['unchained']:,} older entries, from before the chain, are as when it began.")
    click.echo(f"Its end: {seq}:{mark}")


def _steps(seq: int, since: tuple[int, str] | None) -> int:
    """So many that a part ends at the noted entry."""
    if since is not None and seq < since[0]:
        return min(20_000, since[0] - seq)
    return 20_000
