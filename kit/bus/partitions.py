"""Which partition of a topic the events of a key go to."""

import zlib
from collections.abc import Sequence


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic of so many: as the embedded bus does."""
    return zlib.crc32(key) % partitions


def choose(key: bytes, all_partitions: Sequence[int], available: Sequence[int]) -> int:
    """Whether a partition has a leader just now must not matter."""
    return sorted(all_partitions)[partition_of(key, len(all_partitions))]
