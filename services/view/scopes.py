"""Roots: which part of what is here a request is about, and whether the caller may see it.

/dicomweb                     whatever the caller may see
/dicomweb/study/<id>          one study of one origin
/dicomweb/submission/<id>     what one submission brought
/dicomweb/share/<id>          what the share link shows that the caller came by
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

from kit.access import AUDIENCES, may_view_id, submission_key, visible
from kit.documents.port import Documents, Has
from kit.errors import NotFound
from kit.identity import Principal
from kit.service import Caller

Kind = Literal["all", "study", "submission", "share"]
_KINDS: dict[str, Kind] = {"study": "study", "submission": "submission", "share": "share"}
_LONGEST = 64
_MOST = 1000
PREFIXES = ("/dicomweb", "/dicomweb/{root_kind}/{root_id}")


@dataclass(frozen=True)
class Scope:
    """Who asks, below which root. `base` is the address of DICOMweb itself, without a root."""

    who: Principal
    base: str
    kind: Kind = "all"
    id: str = ""

    @property
    def url(self) -> str:
        """The address of this root."""
        return self.base if self.kind == "all" else f"{self.base}/{self.kind}/{self.id}"

    def of_study(self, study_id: str) -> str:
        """The address below which a study is named beyond doubt: this root's, where that is narrow."""
        return f"{self.base}/study/{study_id}" if self.kind == "all" else self.url


async def _scope(request: Request, who: Principal = Caller) -> Scope:
    base = f"{str(request.base_url).rstrip('/')}/dicomweb"
    kind, key = request.path_params.get("root_kind"), request.path_params.get("root_id", "")
    if kind is None:
        return Scope(who, base)
    return within(who, f"{kind}/{key}", base)


def within(who: Principal, root: str, base: str = "") -> Scope:
    """The scope of a root as the viewer's address names it: "study/<id>"; empty: all. Raises NotFound."""
    if not root:
        return Scope(who, base)
    kind, _, key = root.partition("/")
    if kind not in _KINDS or not 0 < len(key) <= _LONGEST:
        raise not_here()
    return Scope(who, base, _KINDS[kind], key)


InScope = Annotated[Scope, Depends(_scope)]


async def ids_within(documents: Documents, scope: Scope) -> tuple[str, ...] | None:
    """Ids of the studies a search may show; None: all there are. Raises NotFound for a root that is
    not there or not the caller's, with the same words."""
    who = scope.who
    if scope.kind == "all":
        found = await visible(documents, who)
        return None if found.all else found.ids
    if scope.kind == "study":
        named: tuple[str, ...] = (scope.id,)
    elif scope.kind == "submission":
        key = Has(submission_key(scope.id))
        rows = await documents.project(AUDIENCES, ["id"], {"keys": key}, limit=_MOST)
        named = tuple(str(row["id"]) for row in rows)
    else:
        grant = who.grant
        if who.kind != "share" or grant is None or scope.id not in (grant.id, grant.id[:24]):
            raise not_here()
        named = tuple(grant.studies)
    seen = [study_id for study_id in named if await may_view_id(documents, who, study_id)]
    if not seen:
        raise not_here()
    return tuple(seen)


async def may_see(documents: Documents, scope: Scope, study_id: str) -> bool:
    """Whether this study lies below the root and may be seen by the caller."""
    if not await may_view_id(documents, scope.who, study_id):
        return False
    if scope.kind == "all":
        return True
    if scope.kind == "study":
        return study_id == scope.id
    return study_id in (await ids_within(documents, scope) or ())


def not_here() -> NotFound:
    """One answer for what is not there and for what is another's."""
    return NotFound("no-study", "There is no such study here, or it is not yours to see.")
