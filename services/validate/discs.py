"""The disc check of a whole submission, in a helper process."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from kit.dicom.dicomdir import read_dicomdir
from kit.dicom.pack import read_index
from kit.errors import NotFound, PermanentError
from kit.objects.port import Objects
from services.validate.models import DiscCheck
from services.validate.rules.discs import Reference, compare

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiscJob:
    """Object keys of the DICOMDIRs and of all pack indexes of the submission; paths of its files, those
    kept and those not."""

    discs: tuple[str, ...]
    packs: tuple[str, ...]
    kept: tuple[str, ...]
    lost: tuple[str, ...]


def check_discs(objects: Objects, job: DiscJob) -> list[DiscCheck]:
    uids: set[str] = set()
    for key in job.packs:
        with suppress(NotFound, PermanentError):
            uids.update(entry.sop_instance_uid for entry in read_index(objects, key).entries)
    return [_check(objects, key, uids, job) for key in job.discs]


def _check(objects: Objects, key: str, uids: set[str], job: DiscJob) -> DiscCheck:
    try:
        with objects.open(key) as file:
            listed = read_dicomdir(file)
    except Exception as error:  # noqa: BLE001 - the edge: an index that breaks its reader must not keep the sums back
        _log.warning("a disc index can't be read (%s)", type(error).__name__)
        return DiscCheck(readable=False)
    references = [Reference(tuple(one.file_id), one.sop_instance_uid) for one in listed]
    return compare(references, uids, job.kept, job.lost)
