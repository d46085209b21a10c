"""The rules held against published linkage sets: never certain on pairs labelled as two people."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from schemas.shapes import Demographics
from services.match.rules.decide import decide
from services.match.rules.known import LocalPatient, StudyIdentity, identifier_of
from services.match.rules.tokens import by_rarity, patient_tokens, study_tokens


def _local(key: str, patient: Demographics) -> LocalPatient:
    return LocalPatient(key, patient, (identifier_of(patient),), (patient.name,))


def _labelled_pairs(path: Path) -> Iterator[tuple[str, Demographics, Demographics]]:
    seen: dict[str, str] = {}
    for line in path.read_text().splitlines():
        found = re.match(r"(EXPECT|PATIENT A|PATIENT B): (.*)", line.strip())
        if found:
            seen[found[1]] = found[2]
            if found[1] == "PATIENT B":
                yield seen["EXPECT"], _person(seen["PATIENT A"]), _person(seen["PATIENT B"])


def _person(line: str) -> Demographics:
    fields = dict(pair.split("=", 1) for pair in line.split(",") if "=" in pair)
    name = "^".join(fields.get(part, "") for part in ("nameLast", "nameFirst", "nameMiddle"))
    return Demographics(
        patient_id=fields.get("mrns", ""),
        name=name,
        birth_date=fields.get("birthDate", ""),
        sex=fields.get("gender", ""),
    )


def test_no_pair_of_two_people_is_certain(shared_data: Path) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for label, one, other in _labelled_pairs(shared_data / "linkage-miis-dev" / "Dev-Test-2015-01-01.txt"):
        counts[label, bool(decide(StudyIdentity(one), [_local("b", other)]).rule)] += 1
    assert counts["Not a Match", False] == 1405
    assert counts["Not a Match", True] == 0
    assert counts["Match", True] >= 790


def test_nobody_is_certain_of_a_wrong_record(shared_data: Path) -> None:
    """FEBRL: duplicates with typing errors held against all originals, all of one sex and without IDs."""
    for name, recall in (("dataset1", 0.95), ("dataset2", 0.95), ("dataset3", 0.95)):
        with (shared_data / "linkage-febrl123" / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
        originals, duplicates = {}, []
        for row in rows:
            number = row["rec_id"].split("-")[1]
            person = Demographics(
                name=f"{row['surname']}^{row['given_name']}", birth_date=row["date_of_birth"], sex="F"
            )
            if "org" in row["rec_id"]:
                originals[number] = _local(number, person)
            else:
                duplicates.append((number, person))
        index = defaultdict(set)
        for key, known in originals.items():
            for token in patient_tokens(known.identifiers, known.names, known.patient.birth_date):
                index[token].add(key)
        wrong = listed = 0
        for number, person in duplicates:
            study = StudyIdentity(person)
            pool = {key for token in by_rarity(study_tokens(study)) for key in index[token]}
            outcome = decide(study, [originals[key] for key in sorted(pool)])
            wrong += outcome.chosen is not None and outcome.chosen.patient_key != number
            listed += number in {candidate.patient_key for candidate in outcome.candidates}
        assert wrong == 0
        assert listed / len(duplicates) >= recall
