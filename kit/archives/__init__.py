"""Archives and disc images read where they lie: streamed, bounded, never unpacked to files."""

from kit.archives.entry import ArchiveError, Entry, MemberError
from kit.archives.kinds import ArchiveKind, archive_kind, entries

__all__ = ["ArchiveError", "ArchiveKind", "Entry", "MemberError", "archive_kind", "entries"]
