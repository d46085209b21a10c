"""Disc images: ISO 9660, Joliet, Rock Ridge and UDF, their directories read by pycdlib.

File contents are read as ranges of the image itself.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, cast

from kit.archives.entry import ArchiveError, Entry, MemberError
from kit.archives.parts import window

_SECTOR = 2048
_DEPTH_MAX = 64
_RUNS_MAX = 100_000
_LEAKED = (ValueError, LookupError, ArithmeticError, RecursionError, OSError, AttributeError, struct.error)
"""What pycdlib lets through on images that lie about their structures."""


def entries(file: BinaryIO, size: int, *, most: int) -> Iterator[Entry]:
    """Raises ArchiveError: archive-damaged, archive-too-many."""
    from pycdlib import PyCdlib
    from pycdlib.pycdlibexception import PyCdlibException

    image = PyCdlib()
    try:
        image.open_fp(file)
        yield from _walk(image, file, size, most)
    except (PyCdlibException, *_LEAKED) as error:
        raise ArchiveError("archive-damaged") from error
    finally:
        with suppress(PyCdlibException):
            # It was never opened when its reading failed.
            image.close()


def _walk(image: Any, file: BinaryIO, size: int, most: int) -> Iterator[Entry]:
    if image.has_joliet():
        found = _iso_files(image.get_record(joliet_path="/"), "utf-16-be", rock_ridge=False)
    elif image.has_rock_ridge():
        found = _iso_files(image.get_record(rr_path="/"), "utf-8", rock_ridge=True)
    else:
        found = _iso_files(image.get_record(iso_path="/"), "latin-1", rock_ridge=False)
    count = 0
    for name, length, runs, skipped in found:
        count += 1
        if count > most:
            raise ArchiveError("archive-too-many")
        yield _entry(file, size, name, length, runs, skipped)
    if count == 0 and image.has_udf():
        start = int(image.udf_main_descs.partitions[0].part_start_location)
        for name, length, runs, skipped in _udf_files(image.get_record(udf_path="/"), start):
            count += 1
            if count > most:
                raise ArchiveError("archive-too-many")
            yield _entry(file, size, name, length, runs, skipped)


def _entry(
    file: BinaryIO, size: int, name: str, length: int, runs: list[tuple[int, int]], skipped: str
) -> Entry:
    whole = sum(run[1] for run in runs) == length and all(0 <= start <= size - run for start, run in runs)

    def open_member() -> BinaryIO:
        if not whole:
            raise MemberError("member-damaged")
        return window(file, runs)

    return Entry(name, length, open_member, skipped)


Found = tuple[str, int, list[tuple[int, int]], str]


def _iso_files(root: Any, encoding: str, *, rock_ridge: bool) -> Iterator[Found]:
    """Depth first, in the order of the disc. A folder seen before is not entered again."""
    seen: set[int] = set()
    stack: list[tuple[Any, str, int]] = [(root, "", 0)]
    while stack:
        folder, path, depth = stack.pop()
        if id(folder) in seen or depth > _DEPTH_MAX:
            continue
        seen.add(id(folder))
        inner: list[tuple[Any, str, int]] = []
        for child in folder.children:
            if child.is_dot() or child.is_dotdot():
                continue
            raw = child.rock_ridge.name() if rock_ridge and child.rock_ridge else child.file_identifier()
            name = _shown(cast(bytes, raw).decode(encoding, "replace"))
            if child.is_dir():
                inner.append((child, f"{path}{name}/", depth + 1))
            elif child.is_symlink():
                yield f"{path}{name}", 0, [], "link"
            else:
                runs = _runs(child)
                yield f"{path}{name}", sum(run[1] for run in runs), runs, ""
        stack.extend(reversed(inner))


def _runs(record: Any) -> list[tuple[int, int]]:
    """A file in several extents goes on in further records (ECMA-119 6.5.1)."""
    runs: list[tuple[int, int]] = []
    while record is not None and record.data_length and len(runs) < _RUNS_MAX:
        extent = record.inode.extent_location() if record.inode else record.extent_location()
        runs.append(((int(extent) + int(record.data_extent_offset)) * _SECTOR, int(record.data_length)))
        record = record.data_continuation
    return runs


def _udf_files(root: Any, partition_start: int) -> Iterator[Found]:
    seen: set[int] = set()
    stack: list[tuple[Any, str, int]] = [(root, "", 0)]
    while stack:
        folder, path, depth = stack.pop()
        if id(folder) in seen or depth > _DEPTH_MAX:
            continue
        seen.add(id(folder))
        inner: list[tuple[Any, str, int]] = []
        for ident in folder.fi_descs.values():
            child = ident.file_entry
            if child is None or ident.is_parent():
                continue
            name = ident.fi.decode(ident.encoding, "replace")
            if child.is_dir():
                inner.append((child, f"{path}{name}/", depth + 1))
            elif child.is_file():
                runs = [
                    ((partition_start + part.log_block_num) * _SECTOR + part.offset, int(part.extent_length))
                    for part in child.alloc_descs[:_RUNS_MAX]
                ]
                yield f"{path}{name}", int(child.get_data_length()), runs, ""
            else:
                yield f"{path}{name}", 0, [], "link"
        stack.extend(reversed(inner))


def _shown(name: str) -> str:
    """Without the version number and the dot before an empty extension (ECMA-119 7.5.1)."""
    return name.rsplit(";", 1)[0].removesuffix(".")
