"""Making instances ready for one destination: identity reconciled, encoding as it takes it. Bytes are
worked on in helper processes; pixel data passes by range from the pack to the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kit.dicom.elements import Span
from kit.dicom.pack import PackEntry
from kit.ids import random_id
from kit.service import Kit
from kit.workers import WorkerDied, WorkerTimeout
from schemas.shapes import PackRef
from services.forward.bytework import CantConvert, Identity, convert, reconciled
from services.forward.kinds.port import Buffer, Link, Outgoing
from services.forward.models import Delivery
from services.forward.reading import Blocks
from services.forward.rules import statuses
from services.forward.rules.contexts import Pair

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
        self._folder = kit.scratch / "forward"

    async def __aenter__(self) -> Self:
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
        pieces = dict(
            zip(
                (entry.position for entry in as_stored),
                await self._pieces(window[0].pack, as_stored),
                strict=True,
            )
        )
        return [
            Ready(self, row, syntax, pieces.get(row.entry.position))
            for row, syntax in zip(window, syntaxes, strict=True)
        ]

    async def _pieces(self, pack: PackRef, entries: list[PackEntry]) -> list[list[Piece]]:
        """Data sets as bytes and ranges of the pack."""
        if self._identity is None:
            return [
                [Span(entry.offset + entry.dataset_offset, entry.length - entry.dataset_offset)]
                for entry in entries
            ]
        if not entries:
            return []
        return await self._kit.workers.run(
            _HEADERS_S, reconciled, self._kit.objects, pack.key, entries, self._identity
        )

    async def convert(self, row: Row, syntax: str) -> tuple[bytes, Path]:
        """The instance in another transfer syntax, identity reconciled: preamble and file meta
        information, and a file of the data set. Raises CantConvert, WorkerDied, WorkerTimeout."""
        self._folder.mkdir(exist_ok=True)
        target = self._folder / f"{random_id()}.dcm"
        try:
            head = await self._kit.workers.run(
                _CONVERT_S,
                convert,
                self._kit.objects,
                row.pack.key,
                row.entry,
                syntax,
                self._identity,
                target,
            )
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return head, target


class Ready:
    """One prepared instance. `refusal` is a status when it can't be sent here at all, else 0."""

    def __init__(self, preparer: Preparer, row: Row, syntax: str | None, pieces: list[Piece] | None) -> None:
        self._preparer = preparer
        self._row = row
        self._syntax = syntax
        self._pieces = pieces
        self.position = row.entry.position
        self.refusal = statuses.CLASS_NOT_SUPPORTED if syntax is None else 0

    @asynccontextmanager
    async def outgoing(self) -> AsyncIterator[Outgoing | None]:
        """None: it can't be converted. What a conversion made is gone when the block is left."""
        if self._pieces is not None:
            yield self._from_pack(self._pieces)
            return
        assert self._syntax is not None
        try:
            head, file = await self._preparer.convert(self._row, self._syntax)
        except (CantConvert, WorkerDied, WorkerTimeout):
            yield None
            return
        try:
            yield self._from_file(self._syntax, head, file)
        finally:
            file.unlink(missing_ok=True)

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

        size = sum(piece.length if isinstance(piece, Span) else len(piece) for piece in pieces)
        return self._outgoing(entry.transfer_syntax, head, size, dataset)

    def _from_file(self, syntax: str, head: bytes, file: Path) -> Outgoing:
        async def made() -> bytes:
            return head

        async def dataset() -> AsyncIterator[Buffer]:
            with file.open("rb") as source:
                while block := await asyncio.to_thread(source.read, _FILE_BLOCK):
                    yield block

        return self._outgoing(syntax, made, file.stat().st_size, dataset)

    def _outgoing(
        self,
        syntax: str,
        head: Callable[[], Awaitable[bytes]],
        size: int,
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
            size=size,
            dataset=dataset,
        )
