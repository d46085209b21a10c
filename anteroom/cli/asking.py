"""`anteroom request`: links by which somebody without an account sends images, once."""

import click

from anteroom.cli.connection import connected
from anteroom.cli.terminal import json_out, local, table
from anteroom.client.api import Api


@click.group()
def request() -> None:
    """Ask somebody without an account for images."""


@request.command("new")
@click.argument("who")
@click.option("--email", default="", help="Mails the link there; without it you hand the link over.")
@click.option("--patient", default="", help="Whose images, as a hint; seen after the PIN alone.")
@click.option("--reason", "purpose", default="")
@click.option("--note", default="")
@click.option("--days", type=click.IntRange(1, 60), default=14, show_default=True)
@click.option("--language", type=click.Choice(["en", "de"]), default="en")
@click.option("--no-pin", is_flag=True, help="Whoever has the link can use it.")
@click.option("--json", "as_json", is_flag=True)
@connected
def new(api: Api, who: str, no_pin: bool, as_json: bool, **fields: str) -> None:
    """Make a link for WHO (a practice or a person, never a patient)."""
    made = api.post("/api/upload-links", {"label": who, "pin": not no_pin, **fields})
    if as_json:
        json_out(made)
        return
    click.echo(f"Link  {made['url']}")
    if made["pin"]:
        click.echo(f"PIN   {made['pin']}   (tell it by telephone, never by the way of the link)")
    click.echo(
        f"Works until {local(made['expires_at'])}. Withdraw it: anteroom request end {made['id'][:12]}"
    )


@request.command("ls")
@click.option("--json", "as_json", is_flag=True)
@connected
def ls(api: Api, as_json: bool) -> None:
    """List the links, newest first."""
    rows = api.get("/api/upload-links")
    if as_json:
        json_out(rows)
        return
    table(
        ["link", "who", "state", "submission", "made by", "works until"],
        (
            [
                row["id"][:12],
                row["label"],
                row["state"],
                row["submission"][:12],
                row["made_by"],
                local(row["expires_at"]),
            ]
            for row in rows
        ),
    )


@request.command("end")
@click.argument("link")
@connected
def end(api: Api, link: str) -> None:
    """Withdraw a link (its id, or the beginning of it): it stops working at once."""
    found = [row["id"] for row in api.get("/api/upload-links") if row["id"].startswith(link)]
    if len(found) != 1:
        raise click.UsageError("There is no such link." if not found else "Several links begin so.")
    api.delete(f"/api/upload-links/{found[0]}")
    click.echo("Withdrawn.")
