"""The documents port: versioned JSON documents, one writing service a collection.

Two adapters (SQLite; MongoDB) pass one contract suite. No update operators, no transactions
over several documents, no unique secondary indexes: uniqueness is a derived id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from schemas.envelope import Event

_CAUSES_KEPT = 64
_PREFIXES = 16


def instant_text(value: datetime) -> str:
    """Fixed width, so that text order is time order."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Instant = Annotated[datetime, PlainSerializer(instant_text, when_used="json")]
"""A time in a document. Every datetime field of a Doc that is filtered or ordered by has this type."""


class Doc(BaseModel):
    """A document. `version` is 0 before the first save and counts saves; adapters keep it."""

    model_config = ConfigDict(extra="ignore", validate_assignment=False)
    schema_version: ClassVar[int] = 1

    id: str
    version: int = Field(default=0, exclude=True)
    causes: list[str] = Field(default_factory=list, description="ids of the last events applied")

    def has_seen(self, event: Event) -> bool:
        """True when this event was already applied: a redelivery."""
        return event.id in self.causes

    def remember(self, event: Event) -> None:
        self.causes = [*self.causes[-(_CAUSES_KEPT - 1) :], event.id]


D = TypeVar("D", bound=Doc)


@dataclass(frozen=True)
class Collection(Generic[D]):
    """Declares a collection. Only declared fields may be filtered or ordered by.

    `fields`   scalar fields of the top level, each indexed with the id behind it
    `compound` further indexes over several of those fields, for equality on the first ones
               and order by the last
    `members`  at most one field holding a list of strings, searched by Has and HasPrefix
    """

    name: str
    model: type[D]
    fields: tuple[str, ...] = ()
    compound: tuple[tuple[str, ...], ...] = ()
    members: str | None = None


Scalar = str | int | float | bool | datetime


@dataclass(frozen=True)
class Range:
    """low <= field < high; None leaves that side open. Absent or null fields never match."""

    low: Scalar | None = None
    high: Scalar | None = None


@dataclass(frozen=True)
class In:
    values: Sequence[Scalar]


@dataclass(frozen=True)
class Has:
    """The members list holds this string."""

    value: str


@dataclass(frozen=True)
class HasPrefix:
    """The members list holds, for each of these, a string that starts so.

    Of very many only the longest 16 are looked at: they say the most. Raises ValueError for none.
    """

    values: tuple[str, ...]

    def __init__(self, *values: str) -> None:
        if not values:
            raise ValueError("which beginnings?")
        object.__setattr__(self, "values", tuple(sorted(set(values), key=len, reverse=True)[:_PREFIXES]))


Where = Mapping[str, Scalar | Range | In | Has | HasPrefix | None]
"""Conditions, all of which must hold. A bare value means equality; None means absent or null."""


@dataclass(frozen=True)
class Page(Generic[D]):
    items: list[D]
    cursor: str | None = field(default=None)
    """Give it to the next find with the same conditions and order; None at the end."""


class Documents(Protocol):
    async def get(self, collection: Collection[D], doc_id: str) -> D | None: ...

    async def save(self, collection: Collection[D], doc: D, emits: Sequence[Event] = ()) -> D:
        """Write the document and its events in one atomic, durable step.

        `doc.version` is the version it was read at (0 inserts). Returns the same object with
        its new version. Raises VersionConflict, and then neither document nor events exist.
        """
        ...

    async def insert_many(self, collection: Collection[D], docs: Sequence[D]) -> None:
        """Insert all; those whose id already exists are left as they are (idempotent)."""
        ...

    async def delete(self, collection: Collection[D], doc: D) -> None:
        """Delete at the version it was read at. Raises VersionConflict; absent is no error."""
        ...

    async def renew(self, collection: Collection[D], doc_id: str, owner: str, until: datetime) -> bool:
        """Move `lease_until` of a task (kit.tasks) whose lease `owner` holds.

        The one write that leaves the version alone, so that what the owner saves next still stands.
        False, and nothing is written, when somebody else holds the lease, or nobody, or it is gone.
        """
        ...

    async def find(
        self,
        collection: Collection[D],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[D]:
        """Documents by (order field, id), or by id alone. Absent order fields sort first.

        Raises Refused for a cursor that was not given out by a find.
        """
        ...

    async def project(
        self,
        collection: Collection[D],
        fields: Sequence[str],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Like find, but only the named top-level fields (id always among them)."""
        ...

    async def count(self, collection: Collection[D], where: Where | None = None, *, cap: int = 10_000) -> int:
        """How many match, counting no further than `cap`."""
        ...
