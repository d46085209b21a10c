"""Moves a data folder into a cluster: what it holds is carried over as it stands, nothing is worked off.

Only the spool is emptied first, into objects and documents, because a cluster has no such file. Events that
somebody has not handled, tasks that are due, open uploads and dead letters go along and go on there.
"""

import asyncio
from pathlib import Path
from typing import Any, cast

from anteroom.embedded import open_embedded, write_private
from anteroom.moving import marks
from anteroom.moving.cluster_side import ClusterSide, opened
from anteroom.moving.copying import Outcome, copy_all
from anteroom.moving.durable import alone, read_json
from anteroom.moving.embedded_side import EmbeddedSource
from anteroom.moving.fingerprint import of_key, read_key
from anteroom.moving.journal import Journal
from anteroom.moving.manifest import DATABASE, KEY, Manifest, running
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from anteroom.settings import Settings
from kit.clock import Clock
from kit.ids import random_id
from kit.service import stop_all
from services.upload import app as upload

_LOOKS = 3000
_LOOK_AGAIN_S = 0.1


async def migrate(
    settings: Settings, key_file: Path | None, cluster: Settings, clock: Clock, progress: Progress
) -> tuple[Manifest, list[str]]:
    """What was moved, and what differs afterwards. Going on after a break is the same call. Raises MoveError,
    DataFolderInUse, TransientError, OSError."""
    data = settings.process.data
    if not (data / DATABASE).exists():
        raise MoveError(f"{data} is no data folder of Anteroom: there is no {DATABASE}. Name it with --data.")
    key = read_key(key_file or data / KEY)
    check_key(cluster, key)
    with alone(data / "moving.lock", f"Another `anteroom migrate` of {data} is running. Wait for its end."):
        async with opened(cluster, clock) as target:
            await target.reach()
            if (moved := read_json(data / marks.MOVED)) and not (data / marks.MOVING).exists():
                return await _moved_before(data, moved, target)
            mark = await _take(data, target, of_key(key))
            if moved is None:
                progress.step("storing what the DICOM door still has in its spool")
                await _empty_spool(settings, key_file)
                outcome = await _copy(data, mark, target, progress)
                made = manifest_of(outcome, of_key(key), clock)
                if outcome.differences:
                    return made, outcome.differences
                bring_key(cluster, key)
                time = f"{clock():%Y-%m-%d %H:%M} UTC"
                moved = {"id": mark["id"], "time": time, "manifest": made.model_dump(mode="json")}
                marks.put(data, marks.MOVED, moved)
            await target.release(mark["id"])
            marks.take_away(data, marks.MOVING)
            return Manifest.model_validate(moved["manifest"]), []


async def _moved_before(data: Path, moved: dict[str, Any], target: ClusterSide) -> tuple[Manifest, list[str]]:
    """Tells the same again where the folder was moved to; raises MoveError for any other cluster."""
    if not moved.get("id") or await target.moved() != moved["id"]:
        raise MoveError(marks.why_not(data) or "")
    return Manifest.model_validate(moved["manifest"]), []


async def _take(data: Path, target: ClusterSide, fingerprint: str) -> dict[str, Any]:
    """Mark both sides as being moved: from here on no server starts on either. Returns the folder's mark.
    Raises MoveError, and then leaves a folder that was not marked before as it was."""
    with alone(data / "lock", f"The data folder {data} is in use by an Anteroom. Stop it first."):
        mark = read_json(data / marks.MOVING)
        fresh = mark is None
        if mark is None:
            if reason := marks.why_not(data):
                raise MoveError(reason)
            mark = {"id": random_id(), "reached": {}}
            marks.put(data, marks.MOVING, mark)
    try:
        taken = await target.take(str(mark["id"]), fingerprint)
    except MoveError:
        if fresh:
            marks.take_away(data, marks.MOVING)
        raise
    # what had been reached is gone where the cluster was emptied since
    return {**mark, "reached": {}} if taken == "new" else mark


async def _empty_spool(settings: Settings, key_file: Path | None) -> None:
    """The upload service with closed doors finishes the batches of its spool, as after any restart."""
    data = settings.process.data
    embedded = open_embedded(
        data, settings.site, workers=1, key_file=key_file or settings.process.key_file, moving=True
    )
    try:
        service = upload.build(embedded.kit, settings.upload.model_copy(update={"dicom_port": -1}))
        for start in service.start:
            await start()
        try:
            await _until_empty(data / "spool" / "upload")
        finally:
            await stop_all([service])
    finally:
        await embedded.close()


async def _until_empty(spool: Path) -> None:
    """Raises MoveError when it takes too long."""
    for _ in range(_LOOKS):
        if not any(spool.glob("*.json")):
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
    raise MoveError(
        "Some batches of the DICOM door's spool can't be stored. Make room on the disk, start the server "
        "once and look at its log, then run this again."
    )


async def _copy(data: Path, mark: dict[str, Any], target: ClusterSide, progress: Progress) -> Outcome:
    def keep(reached: dict[str, str]) -> None:
        marks.put(data, marks.MOVING, {**mark, "reached": reached})

    source = EmbeddedSource(data)
    try:
        return await copy_all(source, target, Journal(cast(dict[str, str], mark["reached"]), keep), progress)
    finally:
        source.close()


def manifest_of(outcome: Outcome, fingerprint: str, clock: Clock) -> Manifest:
    """What was copied, told like a backup."""
    return Manifest(
        kind="cluster",
        version=running(),
        made_at=clock(),
        key_fingerprint=fingerprint,
        key_included=True,
        parts=(),
        objects=outcome.objects,
        object_bytes=outcome.object_bytes,
        documents=outcome.documents,
        groups=outcome.groups,
        events=outcome.events,
        letters=outcome.letters,
    )


def key_place(cluster: Settings) -> Path:
    return cluster.process.key_file or cluster.process.data / KEY


def check_key(cluster: Settings, key: bytes) -> None:
    """Raises MoveError when the cluster's processes would use another key."""
    place = key_place(cluster)
    if place.exists() and read_key(place) != key:
        raise MoveError(
            f"{place}, the cluster's site key, is not that of this installation. Give process.key_file of "
            "the cluster's settings a file that does not exist yet, or holds the same key."
        )


def bring_key(cluster: Settings, key: bytes) -> None:
    place = key_place(cluster)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(place, key.hex())
