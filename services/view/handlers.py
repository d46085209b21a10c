"""Events into the read model: the highest revision of each study is kept."""

from kit.documents.port import Documents
from kit.errors import VersionConflict
from schemas.validate import StudyArrived, StudyRemoved, StudyUpdated
from services.view.models import REMOVED, STUDIES, Removed
from services.view.rules.attributes import view_of


async def study_changed(documents: Documents, event: StudyArrived | StudyUpdated) -> None:
    while True:
        known = await documents.get(STUDIES, event.study.id)
        if known is not None and known.revision >= event.study.revision:
            return
        new = view_of(event.study)
        new.version = known.version if known is not None else 0
        try:
            await documents.save(STUDIES, new)
            removed = await documents.get(REMOVED, new.id)
            if removed is not None and removed.revision >= new.revision:
                await documents.delete(STUDIES, new)
        except VersionConflict:
            continue
        return


async def study_removed(documents: Documents, event: StudyRemoved) -> None:
    """First remembered, then forgotten: late events of what is gone bring nothing back."""
    while True:
        try:
            known = await documents.get(REMOVED, event.study_id) or Removed(id=event.study_id, revision=0)
            if known.revision < event.revision:
                known.revision = event.revision
                await documents.save(REMOVED, known)
            study = await documents.get(STUDIES, event.study_id)
            if study is not None and study.revision < event.revision:
                await documents.delete(STUDIES, study)
        except VersionConflict:
            continue
        return
