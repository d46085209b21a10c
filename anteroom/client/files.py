"""What there is to send: files and folders on this machine, walked without leaving anything out silently."""

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalFile:
    """`ordinal` is its place in the manifest, `path` what the receiver is shown."""

    ordinal: int
    path: str
    source: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class LeftOut:
    path: str
    code: str
    text: str


@dataclass(frozen=True)
class Selection:
    files: tuple[LocalFile, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def client_id(self) -> str:
        """The same for the same files, unchanged: sending again goes on where it broke off."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.size}\0{file.mtime_ns}\n".encode())
        return f"cli-{digest.hexdigest()[:40]}"


def select(paths: Sequence[Path]) -> Selection:
    """Walk the paths in the order given; within a folder by name, hidden files too.

    Links to files are followed, links to folders are not (they may lead in circles) and are told.
    """
    files: list[LocalFile] = []
    left_out: list[LeftOut] = []
    for path, shown in _roots(paths):
        for found in _walk(path, shown):
            if isinstance(found, LeftOut):
                left_out.append(found)
                continue
            source, name, status = found
            files.append(LocalFile(len(files), name, source, status.st_size, status.st_mtime_ns))
    return Selection(tuple(files), tuple(left_out))


def _roots(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """A folder's files are shown below its name; of one folder alone, below nothing if it is `.`."""
    for path in paths:
        name = path.name or path.resolve().name
        yield os.fspath(path), "" if name in {"", "..", "."} else _shown(name)


def _walk(path: str, shown: str) -> Iterator[LeftOut | tuple[str, str, os.stat_result]]:
    todo = [(path, shown)]
    while todo:
        path, shown = todo.pop()
        try:
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                yield path, shown or "file", status
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield LeftOut(shown, "not-a-file", "This is neither a file nor a folder.")
                continue
            with os.scandir(path) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield LeftOut(shown, "unreadable", _reason(error))
            continue
        below: list[tuple[str, str]] = []
        for entry in inside:
            name = f"{shown}/{_shown(entry.name)}" if shown else _shown(entry.name)
            if entry.is_symlink() and _leads_to_folder(entry):
                yield LeftOut(name, "link", "This is a link to a folder; give that folder itself to send it.")
            else:
                below.append((entry.path, name))
        todo += reversed(below)


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=True)
    except OSError:
        return False


def _shown(name: str) -> str:
    """NFC; bytes that are no UTF-8 become the replacement character; no slash survives in a name."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text).replace("\0", "")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "It does not exist (any more)."
    if isinstance(error, PermissionError):
        return "It may not be read by this user."
    return f"It can't be read: {error.strerror or 'unknown reason'}."


def again(file: LocalFile) -> LocalFile | LeftOut:
    """The file as it is now."""
    try:
        status = os.stat(file.source)
    except OSError as error:
        return LeftOut(file.path, "unreadable", _reason(error))
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(file.path, "not-a-file", "This is neither a file nor a folder.")
    return LocalFile(file.ordinal, file.path, file.source, status.st_size, status.st_mtime_ns)


def unreadable(file: LocalFile, error: OSError) -> LeftOut:
    return LeftOut(file.path, "unreadable", _reason(error))


def changed(file: LocalFile) -> LeftOut:
    return LeftOut(
        file.path, "changed", "It kept changing while it was being read. Send it again when it is finished."
    )
