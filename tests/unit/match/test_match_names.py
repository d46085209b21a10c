"""Names, dates and identifiers as they are compared."""

import pytest

from services.match.rules.demographics import (
    Identifier,
    date_score,
    normal_id,
    normal_issuer,
    normal_sex,
    other_id,
    same_id,
    sex_score,
)
from services.match.rules.names import forms, same, similarity, sound
from services.match.rules.tokens import exact_tokens, person_tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller^Jörg", "MUELLER^JOERG"),
        ("Müller^Jörg", "MULLER^JORG"),
        ("O'Brien^Mary", "OBRIEN^MARY"),
        ("O’Brien^Mary", "O BRIEN^MARY"),
        ("García López^José", "GARCIA-LOPEZ^JOSE"),
        ("Weiß^Anna", "WEISS^ANNA"),
        ("Østergård^Søren", "OSTERGARD^SOREN"),
        ("Łukasz^Żak", "LUKASZ^ZAK"),
        ("Smith^John^Adam", "SMITH^JOHN"),
        ("Smith^John^Adam", "SMITH^JOHN^A"),
        ("Smith^John^^Dr.", "SMITH^JOHN"),
        ("Smith, John", "SMITH^JOHN"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "YAMADA^TAROU=山田^太郎"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "Hong^Gildong=洪^吉洞"),
        ("Иванов^Иван", "ИВАНОВ^ИВАН"),
        ("  Smith ^ John ", "smith^john"),
    ],
)
def test_one_name_in_two_spellings(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)
    assert set(exact_tokens(one, "19700203")) & set(exact_tokens(other, "19700203"))
    assert similarity(one, other) >= 0.95


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Smith^John", "Smith^Jane"),
        ("Smith^John", "Smyth^John"),
        ("Smith^John^Adam", "Smith^John^Brian"),
        ("Smith^John^^^Jr", "Smith^John^^^Sr"),
        ("Smith^John", "John^Smith"),
        ("Smith John", "Smith^John"),
        ("Smith", "Smith"),
        ("Smith^", "Smith^John"),
        ("", ""),
        ("^^^", "^^^"),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou=山本^花子"),
        ("Bauer^Anna", "Baur^Anna"),
        ("Muller^Jorg", "Mueller^Joerg"),
    ],
)
def test_names_that_are_not_surely_one(one: str, other: str) -> None:
    assert not same(one, other)


def test_swapped_names_are_similar_but_less() -> None:
    assert 0.75 < similarity("Smith^John", "John^Smith") < similarity("Smith^John", "Smyth^John")


def test_different_people_are_not_similar() -> None:
    assert similarity("Smith^John", "Garcia^Maria") < 0.75
    assert similarity("Smith^John", "Smith^Mary") < 0.8
    assert similarity("", "Smith^John") == 0.0


def test_forms_are_the_ways_to_write_it() -> None:
    assert forms("Müller") == ("muller", "mueller")
    assert forms("Åse") == ("ase", "aase")
    assert forms(" - ") == ()
    assert forms("山田") == ("山田",)


def test_sound_is_coarse() -> None:
    assert sound("meier") == sound("mayer") == sound("maier")
    assert sound("schmidt") == sound("schmitt")
    assert sound("aoi")


def test_swapped_names_share_a_token() -> None:
    assert set(person_tokens("Smith^John", "")) & set(person_tokens("John^Smith", ""))


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("19700203", "19700203", 1.0),
        ("19700203", "19700302", 0.4),
        ("19700203", "19700204", 0.4),
        ("19700203", "19710203", 0.4),
        ("19700203", "19850917", 0.0),
        ("19700203", "1970", 0.5),
        ("197002", "19700203", 0.5),
        ("1971", "19700203", 0.0),
        ("1970", "1970", 0.5),
        ("", "19700203", None),
        ("19000101", "19000101", None),
        ("garbage", "19700203", None),
        ("1970-02-03", "19700203", 1.0),
    ],
)
def test_dates(one: str, other: str, score: float | None) -> None:
    assert date_score(one, other) == score
    assert date_score(other, one) == score


def test_sex() -> None:
    assert [normal_sex(text) for text in ("f", "Male", "U", "N", "A", "", "W")] == [
        "F",
        "M",
        "",
        "",
        "O",
        "",
        "F",
    ]
    assert (sex_score("M", "F"), sex_score("M", "O"), sex_score("M", "M"), sex_score("", "M")) == (
        0,
        0.5,
        1,
        None,
    )


def test_identifiers() -> None:
    local = Identifier(normal_id(" 47 11a"), normal_issuer("Hosp", "1.2.3"))
    assert local == ("4711A", ("HOSP", "1.2.3"))
    assert normal_issuer("HOSP&1.2.3&ISO") == ("HOSP", "1.2.3")
    assert same_id(Identifier("4711A", ("1.2.3",)), local)
    assert not same_id(Identifier("4711A", ()), local)
    assert not same_id(Identifier("4711A", ()), Identifier("4711A", ()))
    assert not same_id(Identifier("04711A", ("HOSP",)), local)
    assert other_id(Identifier("5", ("HOSP",)), (local,))
    assert not other_id(Identifier("5", ("CLINIC",)), (local,))
    assert not other_id(Identifier("5", ()), (local,))
    assert not other_id(Identifier("4711A", ("HOSP",)), (local, Identifier("9", ("HOSP",))))
