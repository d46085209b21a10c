"""Where the bytes of a film lie: fragments of encapsulated pixel data as one stream (PS3.5 A.4, 8.2.5)."""

from kit.errors import NotFound
from kit.objects.port import Objects
from services.view.answers import Span
from services.view.library import Located

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_MOST = 10_000


def stream_of(objects: Objects, found: Located) -> list[Span]:
    """Raises NotFound where there is none."""
    entry = found.entry
    if entry.frames.fragments:
        return [
            (entry.offset + span.offset, span.length) for frame in entry.frames.fragments for span in frame
        ]
    spans: list[Span] = []
    place, end = entry.offset + entry.header_end + 12, entry.offset + entry.pixel_end
    with objects.open(found.pack.key) as file:
        while place + 8 <= end and len(spans) <= _MOST:
            file.seek(place)
            head = file.read(8)
            length = int.from_bytes(head[4:], "little")
            if head[:4] != _ITEM or place + 8 + length > end:
                break
            spans.append((place + 8, length))
            place += 8 + length
    if len(spans) < 2:
        raise NotFound("no-film", "There is no film in this file.")
    return spans[1:]
