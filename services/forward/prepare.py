"""Making instances ready for one destination: identity reconciled, encoding as it takes it. Bytes are
worked on in helper processes; pixel data passes by range from the pack to the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kit.dicom.elements import Span
from kit.dicom.meta import build_meta
from kit.dicom.pack import PackEntry
from kit.ids import random_id
from kit.service import Kit
from kit.workers import WorkerDied, WorkerTimeout
from schemas.shapes import PackRef
from services.forward.converting import converted
from services.forward.kinds.port import Buffer, Link, Outgoing
from services.forward.models import Delivery
from services.forward.reading import Blocks
from services.forward.reconciling import Identity, reconciled
from services.forward.rules import statuses
from services.forward.rules.contexts import Pair

SCRATCH = "forward"
"""Folder below the process's scratch for conversions; holds nothing that has to last."""

_HEADERS_S = 120.0
_CONVERT_S = 600.0
_FILE_BLOCK = 1 << 20

Piece = bytes | Span


@dataclass(frozen=True)
class Row:
    """An instance to be sent: the number of its pack in the delivery, the pack, and where it is there."""

    number: int
    pack: PackRef
    entry: PackEntry

    @property
    def pair(self) -> Pair:
        return self.entry.sop_class_uid, self.entry.transfer_syntax


class Preparer:
    """Holds what is open of the packs while they are sent. An async context manager."""

    def __init__(self, kit: Kit, delivery: Delivery) -> None:
        self._kit = kit
        self._identity = Identity.of(delivery, kit.site.name)
        self.blocks = Blocks(kit.objects)
        self.folder = kit.scratch / SCRATCH

    async def __aenter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.blocks.close()

    async def prepare(self, window: Sequence[Row], link: Link) -> "list[Ready]":
        """The rows (all of one pack) in order, headers done. Raises what reading raises."""
        syntaxes = [link.syntax_for(row.entry.sop_class_uid, row.entry.transfer_syntax) for row in window]
        as_stored = [
            row.entry
            for row, syntax in zip(window, syntaxes, strict=True)
            if syntax == row.entry.transfer_syntax
        ]
        made = await self._pieces(window[0].pack, as_stored)
        pieces = {entry.position: found for entry, found in zip(as_stored, made, strict=True)}
        return [self._ready(row, syntax, pieces) for row, syntax in zip(window, syntaxes, strict=True)]

    def _ready(self, row: Row, syntax: str | None, pieces: dict[int, list[Piece] | None]) -> "Ready":
        if syntax is None:
            return Ready(self, row, "", None, statuses.CLASS_NOT_SUPPORTED)
        position = row.entry.position
        if position in pieces and pieces[position] is None:
            return Ready(self, row, syntax, None, statuses.UNREADABLE_HERE)
        return Ready(self, row, syntax, pieces.get(position))

    async def _pieces(self, pack: PackRef, entries: list[PackEntry]) -> list[list[Piece] | None]:
        """Data sets as bytes and ranges of the pack; None for one whose header can't be rewritten."""
        if self._identity is None:
            return [
                [Span(entry.offset + entry.dataset_offset, entry.length - entry.dataset_offset)]
                for entry in entries
            ]
        if not entries:
            return []
        try:
            return await self._kit.workers.run(
                _HEADERS_S, reconciled, self._kit.objects, pack.key, entries, self._identity
            )
        except (WorkerDied, WorkerTimeout):
            if len(entries) == 1:
                return [None]
        # One of them ends its helper process: the others must not suffer for it.
        return [found for entry in entries for found in await self._pieces(pack, [entry])]

    async def convert(self, row: Row, syntax: str, path: Path) -> list[Piece] | None:
        """Write the instance to `path` in another transfer syntax: the data set as bytes and ranges of
        that file. None: it can't be converted."""
        try:
            return await self._kit.workers.run(
                _CONVERT_S,
                converted,
                self._kit.objects,
                row.pack.key,
                row.entry,
                syntax,
                self._identity,
                path,
            )
        except (WorkerDied, WorkerTimeout):
            return None


class Ready:
    """One prepared instance. `refusal` is a status when it can't be sent here at all, else 0."""

    def __init__(
        self, preparer: Preparer, row: Row, syntax: str, pieces: list[Piece] | None, refusal: int = 0
    ) -> None:
        self._preparer = preparer
        self._row = row
        self._syntax = syntax
        self._pieces = pieces
        self.position = row.entry.position
        self.refusal = refusal

    @asynccontextmanager
    async def outgoing(self) -> AsyncIterator[Outgoing | None]:
        """None: it can't be converted. What a conversion made is gone when the block is left."""
        if self._pieces is not None:
            yield self._from_pack(self._pieces)
            return
        path = self._preparer.folder / f"{random_id()}.dcm"
        try:
            pieces = await self._preparer.convert(self._row, self._syntax, path)
            yield None if pieces is None else self._from_file(pieces, path)
        finally:
            path.unlink(missing_ok=True)

    def _from_pack(self, pieces: list[Piece]) -> Outgoing:
        entry = self._row.entry
        pack, blocks = self._row.pack, self._preparer.blocks

        async def head() -> bytes:
            return await blocks.read(pack, entry.offset, entry.dataset_offset)

        async def dataset() -> AsyncIterator[Buffer]:
            for piece in pieces:
                if isinstance(piece, Span):
                    async for part in blocks.pieces(pack, piece.offset, piece.length):
                        yield part
                else:
                    yield piece

        return self._outgoing(entry.transfer_syntax, head, pieces, dataset)

    def _from_file(self, pieces: list[Piece], path: Path) -> Outgoing:
        entry = self._row.entry

        async def head() -> bytes:
            return build_meta(entry.sop_class_uid, entry.sop_instance_uid, self._syntax)

        async def dataset() -> AsyncIterator[Buffer]:
            with await asyncio.to_thread(path.open, "rb") as file:
                for piece in pieces:
                    if not isinstance(piece, Span):
                        yield piece
                        continue
                    await asyncio.to_thread(file.seek, piece.offset)
                    left = piece.length
                    while left:
                        block = await asyncio.to_thread(file.read, min(left, _FILE_BLOCK))
                        if not block:
                            raise EOFError("a converted file is shorter than it was")
                        left -= len(block)
                        yield block

        return self._outgoing(self._syntax, head, pieces, dataset)

    def _outgoing(
        self,
        syntax: str,
        head: Callable[[], Awaitable[bytes]],
        pieces: list[Piece],
        dataset: Callable[[], AsyncIterator[Buffer]],
    ) -> Outgoing:
        entry = self._row.entry
        return Outgoing(
            pack=self._row.number,
            position=entry.position,
            sop_class=entry.sop_class_uid,
            sop_instance=entry.sop_instance_uid,
            transfer_syntax=syntax,
            head=head,
            size=sum(piece.length if isinstance(piece, Span) else len(piece) for piece in pieces),
            dataset=dataset,
        )
