"""`anteroom events`, `dead-letters` and `replay`: the log of what happened."""

import time
from typing import Any
from urllib.parse import quote

import click

from anteroom.cli.connection import connected
from anteroom.cli.terminal import json_out, local, plain, table
from anteroom.client.api import Api


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on as things happen, until Ctrl-C.")
@click.option("--topic", "topics", multiple=True, metavar="TOPIC", help="Only this topic; may repeat.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@connected
def events(api: Api, follow: bool, topics: tuple[str, ...], limit: int, as_json: bool) -> None:
    """What happened, oldest first: the events of the log, without any patient's data."""
    found = api.get("/api/events", topic=list(topics), limit=limit)
    _print(found, as_json)
    position = found[-1]["position"] if found else 0
    try:
        while follow:
            found = api.get("/api/events", topic=list(topics), after=position, limit=1000)
            _print(found, as_json)
            position = found[-1]["position"] if found else position
            if not found:
                time.sleep(0.5)
    except KeyboardInterrupt:
        return


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    import json

    for event in found:
        if as_json:
            click.echo(json.dumps(event))
            continue
        click.echo(
            f"{event['position']:>7}  {local(event['time'])}  {plain(event['topic']):<22} "
            f"{plain(event['id'])}  {plain(event['correlation_id'])[:12]}"
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list on stdout.")
@connected
def dead_letters(api: Api, as_json: bool) -> None:
    """Events that could not be handled, and why. None of them is lost: see `anteroom replay`."""
    letters = api.get("/api/dead-letters")
    if as_json:
        json_out(letters)
        return
    if not letters:
        click.echo("None: every event was handled.")
        return
    table(
        ["id", "time", "group", "topic", "tries", "reason"],
        ([w["id"], local(w["time"]), w["group"], w["topic"], w["attempts"], w["reason"]] for w in letters),
    )
    click.echo("When the reason is put right: anteroom replay ID")


dead_letters.name = "dead-letters"


@click.command()
@click.argument("letter")
@connected
def replay(api: Api, letter: str) -> None:
    """Deliver the dead LETTER again, to the group it died in alone."""
    api.post(f"/api/dead-letters/{quote(letter, safe='')}/replay")
    click.echo(
        "It is being delivered again. If it fails once more it will be back in `anteroom dead-letters`."
    )
