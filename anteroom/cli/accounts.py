"""`anteroom account`: people and machines that act here, and their tokens."""

from typing import Any
from urllib.parse import quote

import click

from anteroom.cli.connection import connected
from anteroom.cli.terminal import json_out, local, table
from anteroom.client.api import Api

ROLES = ["send", "view", "view-all", "approve", "admin"]


@click.group()
def account() -> None:
    """Accounts and their tokens."""


def _fields(command: Any) -> Any:
    for option in reversed(
        [
            click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="May repeat."),
            click.option("--group", "groups", multiple=True, help="Name of a group; may repeat."),
            click.option(
                "--department", "departments", multiple=True, help="Whose post it sees; may repeat."
            ),
            click.option("--origin", help="The sending organisation its studies belong to."),
            click.option("--email"),
            click.option("--phone", help="With country, such as +4315550100."),
            click.option("--ae-title", "ae_titles", multiple=True, help="Calling AE title; may repeat."),
            click.option("--address", "addresses", multiple=True, help="IP address or network; may repeat."),
            click.option("--certificate", "certificates", multiple=True, help="Common name for mutual TLS."),
            click.option("--policy", type=click.Choice(["review", "forward-certain"])),
            click.option("--destination", "destinations", multiple=True, help="Where its studies go."),
        ]
    ):
        command = option(command)
    return command


def given(options: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line, in the terms of the API."""
    found = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
    return {key: value for key, value in found.items() if value not in (None, [])}


def _with_ids(api: Api, fields: dict[str, Any]) -> dict[str, Any]:
    """Groups by their ids instead of their names. Raises UsageError for one that is not there."""
    if "groups" not in fields:
        return fields
    ids = {row["name"].casefold(): row["id"] for row in api.get("/api/groups")}
    unknown = [name for name in fields["groups"] if name.casefold() not in ids]
    if unknown:
        raise click.UsageError(f"There is no group {unknown[0]!r}. See: anteroom group ls")
    return {**fields, "groups": [ids[name.casefold()] for name in fields["groups"]]}


@account.command("add")
@click.argument("name")
@_fields
@connected
def add(api: Api, name: str, **options: Any) -> None:
    """Make an account of this NAME. Its token: anteroom account token NAME."""
    made = api.post("/api/accounts", {"name": name, **_with_ids(api, given(options))})
    click.echo(f"Made {made['name']}. Give it a token: anteroom account token {made['name']!r}")


@account.command("change")
@click.argument("name")
@click.option("--disable/--enable", "disabled", default=None, help="Shut it out at once, or let it in again.")
@_fields
@connected
def change(api: Api, name: str, **options: Any) -> None:
    """Change the account NAME; what is not given stays."""
    changes = _with_ids(api, given(options))
    if not changes:
        raise click.UsageError("Say what to change.")
    api.patch(f"/api/accounts/{quote(name, safe='')}", changes)
    click.echo(f"Changed {name}.")


@account.command("ls")
@click.option("--json", "as_json", is_flag=True)
@connected
def ls(api: Api, as_json: bool) -> None:
    """List the accounts."""
    rows = api.get("/api/accounts")
    if as_json:
        json_out(rows)
        return
    table(
        ["name", "rights", "policy", "AE titles", "addresses", "destinations", "email", ""],
        (
            [
                row["name"],
                ",".join(row["roles"]),
                row["policy"],
                ",".join(row["ae_titles"]),
                ",".join(row["addresses"]),
                ",".join(row["destinations"]),
                row["email"] or "",
                "disabled" if row["disabled"] else "",
            ]
            for row in rows
        ),
    )


@account.command("token")
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--days", type=click.IntRange(1, 3650), help="Until it expires. Default: never.")
@connected
def token(api: Api, name: str, label: str, days: int | None) -> None:
    """Make an API token for the account NAME. It is shown now, and never again."""
    issued = api.post("/api/tokens", {"account": name, "label": label, "days": days})
    click.echo(issued["secret"])
    click.echo(f"Shown once. To revoke it: anteroom account revoke {issued['id'][:16]}", err=True)


@account.command("tokens")
@click.argument("name", required=False, default="")
@connected
def tokens(api: Api, name: str) -> None:
    """List tokens (never their secrets)."""
    names = {row["id"]: row["name"] for row in api.get("/api/accounts")}
    table(
        ["id", "account", "label", "made", "expires"],
        (
            [
                row["id"][:16],
                names.get(row["account_id"], row["account_id"]),
                row["label"],
                local(row["created_at"]),
                local(row["expires_at"]) or "never",
            ]
            for row in api.get("/api/tokens", account=name)
        ),
    )


@account.command("revoke")
@click.argument("token_id")
@connected
def revoke(api: Api, token_id: str) -> None:
    """Revoke the token TOKEN_ID; it stops working within seconds."""
    api.delete(f"/api/tokens/{quote(token_id, safe='')}")
    click.echo("Revoked.")
