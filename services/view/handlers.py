"""Events into the read model: the highest revision of each study is kept."""

from kit.documents.port import Documents
from kit.errors import VersionConflict
from schemas.validate import StudyArrived, StudyUpdated
from services.view.models import STUDIES
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
        except VersionConflict:
            continue
        return
