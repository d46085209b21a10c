"""`anteroom destination`: the PACSs that approved studies go to."""

from typing import Any
from urllib.parse import quote

import click

from anteroom.cli.connection import Failure, connected
from anteroom.cli.terminal import json_out, plain, table
from anteroom.client.api import Api


@click.group()
def destination() -> None:
    """Where approved studies go."""


@destination.command("add")
@click.argument("name")
@click.option("--host", help="Host of a DICOM destination.")
@click.option("--port", type=click.IntRange(1, 65535))
@click.option("--ae", "called_ae", help="Its AE title.")
@click.option("--calling-ae", help="Ours, as it knows us. Default: ANTEROOM.")
@click.option("--url", help="Address of a STOW-RS destination, such as https://pacs.example/dicom-web.")
@click.option("--tls", is_flag=True, help="DICOM over TLS.")
@click.option("--tls-ca", help="Certificate authority file on the server.")
@click.option("--no-commitment", is_flag=True, help="It does no storage commitment: prove by query.")
@connected
def add(api: Api, name: str, url: str | None, no_commitment: bool, tls: bool, **options: Any) -> None:
    """Make a destination of this NAME and see whether it answers."""
    given = {key: value for key, value in options.items() if value is not None}
    body: dict[str, Any] = {"name": name, "kind": "stow" if url else "dicom", "tls": tls, **given}
    body |= {"url": url} if url else {}
    body |= {"commitment": False} if no_commitment else {}
    api.post("/api/destinations", body)
    click.echo(f"Made {name}.")
    _echo(api, name, must=False)


@destination.command("ls")
@click.option("--json", "as_json", is_flag=True)
@connected
def ls(api: Api, as_json: bool) -> None:
    """List the destinations."""
    rows = api.get("/api/destinations")
    if as_json:
        json_out(rows)
        return
    if not rows:
        click.echo("None yet. Make one: anteroom destination add NAME --host HOST --port PORT --ae TITLE")
        return
    table(
        ["name", "kind", "where", "proof"],
        (
            [
                row["name"],
                row["kind"],
                row.get("url") or f"{row.get('called_ae', '')}@{row.get('host', '')}:{row.get('port', '')}",
                "storage commitment" if row.get("commitment") and row["kind"] == "dicom" else "query",
            ]
            for row in rows
        ),
    )


@destination.command("rm")
@click.argument("name")
@connected
def rm(api: Api, name: str) -> None:
    """Remove the destination NAME."""
    api.delete(f"/api/destinations/{quote(name, safe='')}")
    click.echo(f"Removed {name}.")


@destination.command("echo")
@click.argument("name")
@connected
def echo(api: Api, name: str) -> None:
    """See whether the destination NAME answers."""
    _echo(api, name, must=True)


def _echo(api: Api, name: str, *, must: bool) -> None:
    answer = api.post(f"/api/destinations/{quote(name, safe='')}/echo") or {}
    text = plain(answer.get("text") or answer.get("result") or answer.get("error") or "It answers.")
    good = bool(answer.get("ok", answer.get("reachable", True)))
    click.echo(f"{name}: {text}")
    if must and not good:
        raise Failure("The destination does not answer as it should.")
