"""Every document of a question, however many there are."""

from collections.abc import AsyncIterator

from kit.documents.port import Collection, D, Documents, Where

_PAGE = 200


async def each(
    documents: Documents,
    collection: Collection[D],
    where: Where | None = None,
    *,
    order: str | None = None,
    limit: int | None = None,
) -> AsyncIterator[D]:
    """In the order of Documents.find, `limit` at a time: what is saved meanwhile may be met or not."""
    cursor: str | None = None
    while True:
        page = await documents.find(collection, where, order=order, limit=limit or _PAGE, cursor=cursor)
        for found in page.items:
            yield found
        cursor = page.cursor
        if cursor is None:
            return
