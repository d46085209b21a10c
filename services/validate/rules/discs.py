"""A disc's index held against what arrived. Pure."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from schemas.shapes import Finding
from services.validate.models import DiscCheck
from services.validate.texts import finding

_NAMED_MAX = 200


@dataclass(frozen=True)
class Reference:
    """A file the index lists: its path on the disc, and the instance it says is in it (may be empty)."""

    path: tuple[str, ...]
    sop_instance_uid: str


def compare(
    references: Iterable[Reference], uids: Set[str], kept: Sequence[str], lost: Sequence[str]
) -> DiscCheck:
    """By SOP Instance UID; where the index names none, or it did not arrive, by path.

    `uids`: of all instances that are kept; `kept` and `lost`: paths of the files that are, and of
    those that came but are not.
    """
    listed = list(dict.fromkeys(references))
    lengths = {len(reference.path) for reference in listed}
    kept_ends, lost_ends = _ends(kept, lengths), _ends(lost, lengths)
    check = DiscCheck(listed=len(listed))
    for reference in listed:
        path = _plain(reference.path)
        if reference.sop_instance_uid in uids or (not reference.sop_instance_uid and path in kept_ends):
            check.came += 1
        elif path in lost_ends:
            check.lost_count += 1
            if len(check.lost) < _NAMED_MAX:
                check.lost.append("/".join(reference.path))
        else:
            check.missing_count += 1
            if len(check.missing) < _NAMED_MAX:
                check.missing.append("/".join(reference.path))
    return check


def findings(check: DiscCheck) -> list[Finding]:
    if not check.readable:
        return [finding("disc-index-unreadable")]
    if check.came == check.listed:
        return []
    text = f"The disc lists {check.listed:,} images, {check.came:,} came"
    if check.lost_count:
        text += f"; {check.lost_count:,} arrived but could not be kept"
    if check.missing_count:
        are = "is" if check.missing_count == 1 else "are"
        text += f"; {check.missing_count:,} {are} missing. Please copy the whole disc and send it again"
    return [
        Finding(
            code="disc-incomplete",
            severity="warning",
            action="kept",
            text=f"{text}.",
            count=check.missing_count + check.lost_count,
            values={
                "listed": check.listed,
                "came": check.came,
                "lost": check.lost_count,
                "missing": check.missing_count,
            },
        )
    ]


def _ends(paths: Iterable[str], lengths: Set[int]) -> set[tuple[str, ...]]:
    """The last steps of each path, as many as the index's own paths have."""
    found: set[tuple[str, ...]] = set()
    for path in paths:
        steps = tuple(step for step in path.split("/") if step)
        found.update(_plain(steps[-length:]) for length in lengths if 0 < length <= len(steps))
    return found


def _plain(steps: Iterable[str]) -> tuple[str, ...]:
    """As discs show themselves: case and version numbers don't count."""
    return tuple(step.split(";")[0].rstrip(".").casefold() for step in steps)
