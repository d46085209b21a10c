"""What the worklist is asked, and which answers are kept."""

import pytest

from schemas.shapes import Demographics, Order
from services.match.rules.asking import accession_query, name_queries, relevant
from services.match.rules.known import StudyIdentity


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Muster^Anna", "Muster^Anna*"),
        ("Müller^Jörg^A^Dr.", "M*ller^J*rg*"),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou*"),
        ("山田^太郎", ""),
        ("O'Brien^Mary", "O'Brien^Mary*"),
        ("Muster", ""),
        ("M^Anna", ""),
        ("*^*", ""),
        ("", ""),
    ],
)
def test_name_query(name: str, query: str) -> None:
    assert name_queries(name)[:1] == ([query] if query else [])


@pytest.mark.parametrize(
    ("number", "query"), [("A-12 3", "A-12 3"), ("*", ""), ("A?", ""), ("A\\B", ""), ("", "")]
)
def test_a_pattern_for_an_accession_number_is_not_asked_for(number: str, query: str) -> None:
    assert accession_query(number) == query


def test_case_is_varied() -> None:
    assert name_queries("MÜLLER^JÖRG") == ["M*LLER^J*RG*", "M*ller^J*rg*"]


def test_only_answers_about_the_study_are_kept() -> None:
    study = StudyIdentity(Demographics(name="Muster^Anna"), accession_number="A1", study_instance_uid="1.2.3")
    stranger = Demographics(name="Else^Someone")
    assert relevant(study, Demographics(name="MUSTER^ANNE"), Order())
    assert relevant(study, stranger, Order(accession_number="a1"))
    assert relevant(study, stranger, Order(study_instance_uid="1.2.3"))
    assert not relevant(study, stranger, Order(accession_number="A2"))
    assert not relevant(StudyIdentity(Demographics()), Demographics(), Order())
