"""Reading packs front to back in large blocks, one block ahead of the sender."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from kit.objects.port import Objects
from schemas.shapes import PackRef

BLOCK = 4 << 20
_HELD = 4


class Blocks:
    """Ranges of packs. Holds four blocks at most; ranges should ascend, and need not."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._held: OrderedDict[tuple[str, int], asyncio.Task[bytes]] = OrderedDict()

    async def pieces(self, pack: PackRef, start: int, length: int) -> AsyncIterator[memoryview]:
        """The bytes [start, start + length). Raises EOFError when the pack is shorter."""
        position, end = start, start + length
        while position < end:
            number, offset = divmod(position, BLOCK)
            block = await self._block(pack, number)
            piece = memoryview(block)[offset : offset + end - position]
            if not piece:
                raise EOFError("a pack is shorter than its index says")
            yield piece
            position += len(piece)

    async def read(self, pack: PackRef, start: int, length: int) -> bytes:
        """A small range, whole."""
        return b"".join([bytes(piece) async for piece in self.pieces(pack, start, length)])

    async def _block(self, pack: PackRef, number: int) -> bytes:
        ahead = (number + 1) * BLOCK < pack.bytes
        for wanted in (number, number + 1) if ahead else (number,):
            place = (pack.key, wanted)
            if place not in self._held:
                self._held[place] = asyncio.create_task(
                    asyncio.to_thread(self._objects.read, pack.key, wanted * BLOCK, BLOCK)
                )
            self._held.move_to_end(place)
        block = self._held[pack.key, number]
        while len(self._held) > _HELD:
            _drop(self._held.popitem(last=False)[1])
        return await block

    async def close(self) -> None:
        blocks = list(self._held.values())
        self._held.clear()
        for block in blocks:
            block.cancel()
        await asyncio.gather(*blocks, return_exceptions=True)


def _drop(block: "asyncio.Task[bytes]") -> None:
    """Nobody waits for it any more; whatever went wrong with it is of no interest."""
    block.cancel()
    block.add_done_callback(lambda done: done.cancelled() or done.exception())
