"""`anteroom backup`, `restore` and `migrate`: whole installations."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anteroom.cli.connection import Failure
from anteroom.cli.terminal import json_out, size

if TYPE_CHECKING:
    from anteroom.moving.manifest import Manifest
    from anteroom.moving.progress import Progress

_FOLDER = click.Path(path_type=Path)
_DATA = click.option(
    "--data", type=_FOLDER, help="Data folder of `anteroom up`. Default: process.data, else data."
)
_CONFIG = click.option("--config", type=_FOLDER, help="Settings file (TOML) of `anteroom up`.")
_KEY = click.option(
    "--key-file", type=_FOLDER, help="Where the site key is, when not in the data folder or the settings."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.command()
@click.option(
    "--to", "target", required=True, type=_FOLDER, help="Folder of backups, or a file ending in .tar."
)
@_DATA
@click.option(
    "--cluster", type=_FOLDER, metavar="TOML", help="Back up the cluster of these settings instead."
)
@_CONFIG
@_KEY
@click.option(
    "--keep",
    type=click.IntRange(1, 1000),
    default=7,
    show_default=True,
    help="Backups that stay in the folder, this one counted.",
)
@_JSON
def backup(target: Path, keep: int, as_json: bool, **options: Any) -> None:
    """Save everything: documents, events, objects, and the DICOM door's spool.

    Works while the server runs. Into a folder, a further backup copies only new objects; each counts once it
    is whole and synced to disk. A .tar file holds one backup. Settings and TLS keys are not included; the
    site key is, when it lies in the data folder. A backup holds patients' data: keep it encrypted.
    Sizes are in kB, MB, GB of 1000; times in UTC.
    """
    with _plainly(target):
        from anteroom.moving.commands import back_up

        done = back_up(target, keep=keep, progress=_progress(), **options)
        made = done.manifest
        if as_json:
            json_out({"backup": done.stamp, "new_objects": done.copied, **_figures(made)})
            return
        click.echo(f"Backup {done.stamp} is whole at {target}.")
        _summary(made)
        click.echo(f"  new       {done.copied:,} objects were copied; {done.removed} old backups went")
        if not made.quiet:
            click.echo("  Services worked meanwhile: docs/backup.md says what that means in a cluster.")


@click.command()
@click.option("--from", "source", required=True, type=_FOLDER, help="Folder of backups, or a .tar file.")
@click.option("--at", "stamp", metavar="TIME", help="Which backup of the folder. Default: the newest.")
@_DATA
@click.option("--cluster", type=_FOLDER, metavar="TOML", help="Restore into the cluster of these settings.")
@_CONFIG
@_KEY
@click.option("--over", is_flag=True, help="Put aside what the data folder holds (within it) and go on.")
@click.option("--check", is_flag=True, help="Only read the whole backup and say whether it is in order.")
@_JSON
def restore(source: Path, stamp: str | None, check: bool, as_json: bool, **options: Any) -> None:
    """Bring a backup back: into an empty data folder, or into an empty cluster.

    The backup is checked first, and what was written is compared with it afterwards. Run the same command
    again after a break. Events that were not handled when the backup was made are delivered at the next
    start; those handled twice are recognised. Exit status 1 when anything differs.
    """
    with _plainly(options["cluster"] or options["data"] or "the data folder"):
        from anteroom.moving.commands import check_backup
        from anteroom.moving.commands import restore as bring_back

        if check:
            made, wrong = check_backup(source, stamp, _progress())
            differences = [f"objects: {wrong:,} are not what they were"] if wrong else []
        else:
            made, differences = bring_back(source, stamp, progress=_progress(), **options)
        _report(made, differences, as_json, "The backup is in order." if check else "Restored.")


@click.command()
@click.option("--to", "cluster", required=True, type=_FOLDER, metavar="TOML", help="Settings of the cluster.")
@_DATA
@_CONFIG
@_KEY
@_JSON
def migrate(cluster: Path, as_json: bool, **options: Any) -> None:
    """Move a stopped installation of one machine into an empty cluster (MongoDB, S3, Kafka).

    Documents, objects, the event log with every reader's position, dead letters and the site key are copied
    and then compared by count and hash. Nothing of the data folder is deleted. Run the same command again
    after a break: it goes on. Exit status 1 when anything differs.
    """
    with _plainly(f"the cluster of {cluster}"):
        from anteroom.moving.commands import migrate as move

        moved, differences = move(cluster, progress=_progress(), **options)
        _report(
            moved, differences, as_json, "Moved. Start it with: anteroom run all --config " + str(cluster)
        )


def _progress() -> "Progress":
    from anteroom.moving.progress import Progress

    return Progress(lambda line: click.echo(line, err=True))


def _report(made: "Manifest", differences: list[str], as_json: bool, well: str) -> None:
    if as_json:
        json_out({"differences": differences, **_figures(made)})
    else:
        click.echo(well if not differences else "This is NOT the same:")
        for line in differences:
            click.echo(f"  {line}")
        _summary(made)
    sys.exit(1 if differences else 0)


def _figures(made: "Manifest") -> dict[str, Any]:
    return {
        "kind": made.kind,
        "made_at": made.made_at.isoformat(),
        "documents": sum(tally.count for tally in made.documents.values()),
        "objects": made.objects,
        "object_bytes": made.object_bytes,
        "events": made.events.count,
        "dead_letters": made.letters,
        "key_included": made.key_included,
    }


def _summary(made: "Manifest") -> None:
    documents = sum(tally.count for tally in made.documents.values())
    click.echo(f"  documents {documents:,} in {len(made.documents)} collections")
    click.echo(f"  objects   {made.objects:,} with {size(made.object_bytes)}")
    click.echo(f"  events    {made.events.count:,}, dead letters {made.letters:,}")
    if not made.key_included:
        click.echo("  site key  not included: keep its file apart, and safe")


@contextmanager
def _plainly(place: object) -> Iterator[None]:
    from anteroom.moving.trouble import explained
    from kit.errors import AnteroomError

    try:
        with explained(str(place)):
            yield
    except AnteroomError as error:
        raise Failure(str(error)) from error
