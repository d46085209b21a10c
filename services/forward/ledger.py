"""The ledger: what one destination has of one pack, instance by instance, as bitmaps.

A bitmap is an integer, bit p for position p, kept as hexadecimal text. A ledger is saved before a
window of instances is sent (`reserved`) and after it (`stored`), so that after a crash only the
instances between are uncertain.
"""

from collections.abc import Iterable, Iterator

from pydantic import Field

from kit.documents.port import Collection, Doc
from schemas.shapes import PackRef, Shape


class Trial(Shape):
    """An instance the destination refused: how often in this episode, and its last answer."""

    status: int
    tries: int


class Ledger(Doc):
    """Of one delivery and one pack. Written by the worker that holds the delivery's lease."""

    delivery_id: str
    pack_id: str
    number: int = Field(description="place of the pack in its delivery")
    wanted: str = Field(description="bitmap: to be delivered (all but the pack's skipped positions)")
    stored: str = Field(default="0", description="bitmap: the destination said that it has it")
    proven: str = Field(default="0", description="bitmap: its arrival is proved")
    reserved: str = Field(default="0", description="bitmap: may be on its way right now")
    warned: dict[str, str] = Field(
        default_factory=dict, description="warning status (4 hex digits) to bitmap"
    )
    refused: dict[str, Trial] = Field(default_factory=dict, description="by position")
    episode: int = Field(default=0, description="retry by a person in which `refused` was counted")


LEDGERS = Collection("delivery-ledgers", Ledger, fields=("delivery_id",))


def bitmap(positions: Iterable[int]) -> int:
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits


def positions(bits: int) -> Iterator[int]:
    """The positions set, ascending."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def number(text: str) -> int:
    return int(text, 16)


def text(bits: int) -> str:
    return f"{bits:x}"


def wanted_of(pack: PackRef) -> int:
    return ((1 << pack.instances) - 1) & ~bitmap(pack.skipped)


def has(bits: str, position: int) -> bool:
    return bool(number(bits) >> position & 1)


def add(bits: str, more: int) -> str:
    return text(number(bits) | more)


def remove(bits: str, less: int) -> str:
    return text(number(bits) & ~less)


def to_send(ledger: Ledger, tries: int) -> int:
    """Bitmap of what is still to be offered: not there yet and not refused `tries` times."""
    spent = bitmap(int(position) for position, trial in ledger.refused.items() if trial.tries >= tries)
    return number(ledger.wanted) & ~number(ledger.stored) & ~spent


def refused(ledger: Ledger) -> int:
    """Bitmap of what was refused and has not been taken since."""
    return bitmap(int(position) for position in ledger.refused) & ~number(ledger.stored)


def to_prove(ledger: Ledger) -> int:
    return number(ledger.wanted) & number(ledger.stored) & ~number(ledger.proven)


def uncertain(ledger: Ledger) -> int:
    """Bitmap of what was on its way when a process died."""
    return number(ledger.reserved) & number(ledger.wanted) & ~number(ledger.stored) & ~refused(ledger)


def note_kept(ledger: Ledger, position: int, warning: int | None) -> None:
    """The destination has it now. Clears what was said about it before."""
    bit = 1 << position
    ledger.stored = add(ledger.stored, bit)
    ledger.refused.pop(str(position), None)
    for status in list(ledger.warned):
        ledger.warned[status] = remove(ledger.warned[status], bit)
        if number(ledger.warned[status]) == 0:
            del ledger.warned[status]
    if warning is not None:
        status = f"{warning:04X}"
        ledger.warned[status] = add(ledger.warned.get(status, "0"), bit)


def note_refused(ledger: Ledger, position: int, status: int) -> None:
    before = ledger.refused.get(str(position))
    ledger.refused[str(position)] = Trial(status=status, tries=(before.tries if before else 0) + 1)


def note_missing(ledger: Ledger, bits: int) -> None:
    """The destination said it has these, and then hadn't: they are to be sent again."""
    ledger.stored = remove(ledger.stored, bits)
    ledger.proven = remove(ledger.proven, bits)


def begin_episode(ledger: Ledger, episode: int) -> bool:
    """A person retries: refused instances get their tries back. True when something changed."""
    if ledger.episode == episode:
        return False
    ledger.episode = episode
    ledger.refused = {}
    return True


def inherit(ledger: Ledger, earlier: Ledger) -> None:
    """Take over what an earlier delivery of the same identity knows of the same pack."""
    ledger.stored = add(ledger.stored, number(earlier.stored) & number(ledger.wanted))
    ledger.proven = add(ledger.proven, number(earlier.proven) & number(ledger.wanted))


class Sums(Shape):
    """Over all ledgers of a delivery."""

    total: int = 0
    stored: int = 0
    proven: int = 0
    to_send: int = 0
    refused: dict[int, int] = Field(default_factory=dict, description="status to instances")
    warned: dict[int, int] = Field(default_factory=dict, description="status to instances")


def sums(ledgers: Iterable[Ledger], tries: int) -> Sums:
    total = stored = proven = waiting = 0
    bad: dict[int, int] = {}
    odd: dict[int, int] = {}
    for ledger in ledgers:
        wanted = number(ledger.wanted)
        total += wanted.bit_count()
        stored += (wanted & number(ledger.stored)).bit_count()
        proven += (wanted & number(ledger.proven)).bit_count()
        waiting += to_send(ledger, tries).bit_count()
        for trial in ledger.refused.values():
            bad[trial.status] = bad.get(trial.status, 0) + 1
        for status, bits in ledger.warned.items():
            odd[int(status, 16)] = odd.get(int(status, 16), 0) + number(bits).bit_count()
    return Sums(total=total, stored=stored, proven=proven, to_send=waiting, refused=bad, warned=odd)
