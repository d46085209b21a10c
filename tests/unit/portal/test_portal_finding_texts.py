"""Whatever validation says of a file, pages can say in every language."""

import pytest

from kit.dicom import findings
from services.portal.rules import compare, way, worklist
from services.portal.texts import DEFAULT, LANGUAGES, catalogue
from services.validate.texts import TEXTS

OTHERS = [language for language in LANGUAGES if language != DEFAULT]


def _finding_texts() -> set[str]:
    tables = [value for value in vars(findings).values() if isinstance(value, dict)]
    rows = [row for table in tables for row in table.values() if isinstance(row, tuple) and len(row) == 3]
    return {row[2] for row in (*TEXTS.values(), *rows)}


@pytest.mark.parametrize("language", OTHERS)
def test_findings_and_names_are_translated(language: str):
    names = {*worklist.TABS.values(), *worklist.AGES.values(), *way.WAY.values(), *compare.LABELS}
    names |= {compare.likelihood(score) for score in (1.0, 0.95, 0.7, 0.1)}
    missing = (_finding_texts() | names) - set(catalogue(language))
    assert not missing, "\n".join(sorted(missing))
