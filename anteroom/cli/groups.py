"""`anteroom group`: rights, departments and policy that several accounts have together."""

from typing import Any
from urllib.parse import quote

import click

from anteroom.cli.accounts import ROLES, given
from anteroom.cli.connection import connected
from anteroom.cli.terminal import json_out, table
from anteroom.client.api import Api


@click.group()
def group() -> None:
    """Groups: what they have, their members have."""


def _fields(command: Any) -> Any:
    for option in reversed(
        [
            click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="May repeat."),
            click.option("--department", "departments", multiple=True, help="May repeat."),
            click.option("--policy", type=click.Choice(["review", "forward-certain"])),
            click.option(
                "--destination", "destinations", multiple=True, help="Where its members' studies go."
            ),
        ]
    ):
        command = option(command)
    return command


@group.command("add")
@click.argument("name")
@_fields
@connected
def add(api: Api, name: str, **options: Any) -> None:
    """Make a group of this NAME. Members: anteroom account change ACCOUNT --group NAME."""
    made = api.post("/api/groups", {"name": name, **given(options)})
    click.echo(f"Made {made['name']}. Put somebody in: anteroom account change ACCOUNT --group {name!r}")


@group.command("change")
@click.argument("name")
@click.option("--rename", "new_name", help="Its new name.")
@_fields
@connected
def change(api: Api, name: str, new_name: str | None, **options: Any) -> None:
    """Change the group NAME; what is not given stays. Its members sign in anew."""
    changes = given({"name": new_name, **options})
    if not changes:
        raise click.UsageError("Say what to change.")
    api.patch(f"/api/groups/{quote(name, safe='')}", changes)
    click.echo(f"Changed {name}.")


@group.command("remove")
@click.argument("name")
@connected
def remove(api: Api, name: str) -> None:
    """Remove the group NAME, when nobody is in it any more."""
    api.delete(f"/api/groups/{quote(name, safe='')}")
    click.echo(f"Removed {name}.")


@group.command("ls")
@click.option("--json", "as_json", is_flag=True)
@connected
def ls(api: Api, as_json: bool) -> None:
    """List the groups and who is in them."""
    rows = api.get("/api/groups")
    if as_json:
        json_out(rows)
        return
    names = {row["id"]: row["name"] for row in api.get("/api/accounts")}
    table(
        ["name", "rights", "departments", "policy", "destinations", "members"],
        (
            [
                row["name"],
                ",".join(row["roles"]),
                ",".join(row["departments"]),
                row["policy"],
                ",".join(row["destinations"]),
                ", ".join(names.get(member, member) for member in row["members"]),
            ]
            for row in rows
        ),
    )
