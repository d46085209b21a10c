"""Marks in a data folder that say that it must not be started, and why."""

from pathlib import Path

from anteroom.moving.durable import read_json, write_json
from kit.durable import sync

RESTORING = "restore.json"
MOVING = "moving.json"
MOVED = "moved.json"


def why_not(data: Path) -> str | None:
    """The sentence for whoever starts a server on this folder; None where nothing stands against it."""
    if (data / RESTORING).exists():
        return (
            f"A restore into {data} is not finished. "
            "Run the same `anteroom restore` again, or empty the folder."
        )
    if (data / MOVING).exists():
        return (
            f"{data} is being moved to a cluster. Run the same `anteroom migrate` again; or, to stay here, "
            f"remove {data / MOVING} and what was copied."
        )
    if (moved := read_json(data / MOVED)) is not None:
        return (
            f"This installation was moved to a cluster on {moved.get('time', 'an earlier day')}: run it "
            "there. Two that go on side by side can't be joined again. To go back for good, remove "
            f"{data / MOVED}."
        )
    return None


def put(data: Path, mark: str, content: dict[str, object]) -> None:
    write_json(data / mark, content)


def take_away(data: Path, mark: str) -> None:
    (data / mark).unlink(missing_ok=True)
    sync(data)
