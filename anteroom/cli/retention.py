"""`anteroom retention`: how long images are kept once nobody needs them here, and files beside them."""

from typing import Any
from urllib.parse import quote

import click

from anteroom.cli.connection import connected
from anteroom.cli.terminal import json_out, local, size, table
from anteroom.client.api import Api


@click.group()
def retention() -> None:
    """How long images are kept once nobody needs them here."""


_FIELDS = ("in_pacs_days", "declined_days", "documents_days", "quarantine_days", "undo_hours")


class _Days(click.ParamType[int]):
    """A number of days, or `never`."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "never":
            return 0
        if not str(value).isdecimal() or int(value) < 1:
            self.fail("a number of days from 1, or never", param, ctx)
        return int(value)


def _days(number: int | None) -> str:
    return f"{number} days" if number else "never"


@retention.command("show")
@click.option("--json", "as_json", is_flag=True)
@connected
def show(api: Api, as_json: bool) -> None:
    """The policy, what it would free now, and what goes next."""
    found = api.get("/api/retention")
    if as_json:
        json_out(found)
        return
    click.echo(f"Goes after its arrival in the PACS was proved: {_days(found['in_pacs_days'])}")
    click.echo(f"Goes after it was declined:                    {_days(found['declined_days'])}")
    click.echo(f"Documents go after no study has images here:   {_days(found['documents_days'])}")
    click.echo(f"Files put aside go after the same:             {_days(found['quarantine_days'])}")
    click.echo(f"Would free now: {size(found['bytes'])}, {found['studies']} studies")
    if found["files"]:
        click.echo(f"Would remove now: {found['files']} files of {found['submissions']} submissions")
    if found["doubted"]:
        click.echo(
            "The clock leapt, so nothing goes until it has gone on well for a day, or the policy is set."
        )
    titles = (
        ("Announced, each may still be kept:", "announced"),
        ("Kept by a person:", "kept"),
        ("Kept as long as a share link works:", "shared"),
    )
    for title, name in titles:
        if found[name]:
            click.echo(title)
            table(
                ["study", "why", "size", "goes" if name == "announced" else "until", "who"],
                (
                    [
                        row["study_id"],
                        row["rule"] or row["reason"],
                        size(row["bytes"]) if row["bytes"] else "",
                        local(row["goes_at"] or row["shared_until"]),
                        row["account"],
                    ]
                    for row in found[name]
                ),
            )

    for title, name in (("Files announced:", "announced_files"), ("Files kept by a person:", "kept_files")):
        if found[name]:
            click.echo(title)
            table(
                ["submission", "what", "files", "goes", "who"],
                (
                    [row["submission_id"], row["rule"], row["files"], local(row["goes_at"]), row["account"]]
                    for row in found[name]
                ),
            )


@retention.command("set")
@click.option("--in-pacs", "in_pacs_days", type=_Days(), help="Days after the proof, or never.")
@click.option("--declined", "declined_days", type=_Days(), help="Days after it was declined, or never.")
@click.option(
    "--documents",
    "documents_days",
    type=_Days(),
    help="Days documents are kept after no study of theirs has images here, or never. Nothing proves that "
    "they are anywhere else.",
)
@click.option("--quarantine", "quarantine_days", type=_Days(), help="The same for files put aside, or never.")
@click.option("--notice", "undo_hours", type=click.IntRange(1, 1440), help="Hours it is announced before.")
@click.option("--dry-run", is_flag=True, help="Only say what it would free.")
@connected
def change(api: Api, dry_run: bool, **options: int | None) -> None:
    """Change the policy; what is not given stays."""
    changes = {name: value or None for name, value in options.items() if value is not None}
    if not changes:
        raise click.UsageError("Say what to change.")
    known = api.get("/api/retention")
    policy = {name: known[name] for name in _FIELDS} | changes
    figure = api.post("/api/retention/figure", policy)
    if not dry_run:
        api.put("/api/retention", policy)
    said = f"{size(figure['bytes'])}, {figure['studies']} studies, {figure['files']} files beside"
    click.echo(f"Would free now: {said}" if dry_run else f"Saved. What is old enough is announced: {said}")


@retention.command("keep")
@click.argument("study")
@click.option("--reason", default="", help="Shown in the list; no patient data.")
@connected
def keep(api: Api, study: str, reason: str) -> None:
    """Keep the images of STUDY (its id), whatever the policy says."""
    api.put(f"/api/retention/kept/{quote(study, safe='')}", {"reason": reason})
    click.echo("Kept.")


@retention.command("release")
@click.argument("study")
@connected
def release(api: Api, study: str) -> None:
    """Let the policy apply to STUDY again."""
    api.delete(f"/api/retention/kept/{quote(study, safe='')}")
    click.echo("The policy applies to it again.")
