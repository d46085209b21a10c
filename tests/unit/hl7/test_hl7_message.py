"""The tolerant reader, held against hl7apy where that can read the same."""

import random

import pytest
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from kit.hl7.charset import declared, decode
from kit.hl7.message import NotHl7, escape, parse, split_batch, unescape
from kit.hl7.names import other_names, pn_from_xpn, xpn_from_pn

MESSAGE = (
    "MSH|^~\\&|HIS|HOSPITAL|RIS|X|20260301100000||ADT^A01^ADT_A01|42|P|2.5.1\r"
    "EVN|A01|20260301100000\r"
    "PID|1||12^^^HOSPITAL&1.2.3&ISO^MR~34^^^OTHER^PI||Muster&von^Anna^M^jun.^Dr.||19700203|F\r"
    "PV1|1|O\r"
    "ZXX|own|stuff\r"
)


def test_reads_what_hl7apy_reads() -> None:
    ours, theirs = parse(MESSAGE), parse_message(MESSAGE, find_groups=False)
    assert ours.control_id == theirs.msh.msh_10.value
    assert (ours.code, ours.trigger) == ("ADT", "A01")
    person = ours.first("PID")
    assert person is not None
    for number, repetition in enumerate(person.values(3)):
        field = theirs.pid.pid_3[number]
        assert repetition.text(1) == field.cx_1.value
        assert repetition.text(4, 1) == field.cx_4.hd_1.to_er7()
    assert person.text(3, 4, 2) == "1.2.3"
    assert person.text(5, 1) == "Muster"
    assert person.text(99) == ""


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\r\n"])
def test_any_line_end(end: str) -> None:
    message = parse(MESSAGE.replace("\r", end))
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID", "PV1", "ZXX"]


def test_leading_blanks_and_marks_are_tolerated() -> None:
    assert parse("\ufeff\r\n  " + MESSAGE.replace("\r", "\r   ")).first("PID") is not None


@pytest.mark.parametrize(
    ("encoding", "field", "expected"),
    [
        ("^~\\&", "a^b&c~d", ("a", "b", "c")),
        ("^~\\", "a^b&c~d", ("a", "b&c", "")),
        ("^~&", "a^b&c~d", ("a", "b", "c")),
        ("^~", "a^b~d", ("a", "b", "")),
        ("", "a^b&c~d", ("a", "b", "c")),
        ("$!\\%", "a$b%c!d", ("a", "b", "c")),
        ("^~\\&#", "a^b&c~d", ("a", "b", "c")),
    ],
)
def test_odd_encoding_characters(encoding: str, field: str, expected: tuple[str, str, str]) -> None:
    segment = parse(f"MSH|{encoding}|HIS\rPID|{field}").segments[1]
    assert (segment.text(1), segment.text(1, 2), segment.text(1, 2, 2)) == expected
    assert len(segment.values(1)) == 2


def test_other_field_separator() -> None:
    assert parse("MSH#^~\\&#HIS\rPID#1##7").segments[1].text(3) == "7"


@pytest.mark.parametrize("text", ["", "\r\n", "PID|1", "MSH", "MSHx^~\\&xHIS", "MSH |", "hello"])
def test_what_is_no_hl7_is_said_so(text: str) -> None:
    with pytest.raises(NotHl7):
        parse(text)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("a\\F\\b", "a|b"),
        ("a\\S\\b\\T\\c\\R\\d\\E\\e", "a^b&c~d\\e"),
        ("\\X4D\\\\XC3BC\\", "Mü"),
        ("\\XE4\\", "ä"),
        ("one\\.br\\two", "one\ntwo"),
        ("\\H\\bold\\N\\", "bold"),
        ("C:\\temp\\file", "C:\\temp\\file"),
        ("open\\", "open\\"),
        ("\\Zvendor\\x", "x"),
        ("\\.sp+2\\x", "x"),
    ],
)
def test_escape_sequences(raw: str, plain: str) -> None:
    assert unescape(raw) == plain


@given(st.text(st.characters(blacklist_categories=["C", "Z"]), max_size=40))
def test_escape_is_undone(text: str) -> None:
    assert unescape(escape(text)) == text


def test_batch_is_split() -> None:
    text = "FHS|^~\\&\r\nBHS|^~\\&\r\n" + MESSAGE + "\r\n" + MESSAGE + "BTS|2\r\nFTS|1\r\n"
    messages, enveloped = split_batch(text)
    assert enveloped
    assert [parse(message).control_id for message in messages] == ["42", "42"]
    assert split_batch(MESSAGE)[1] is False
    assert split_batch("") == ([], False)


def test_of_long_fields_whole_repetitions_are_read() -> None:
    message = parse("MSH|^~\\&|" + "x" * 30 + "||||||ADT^A08|1\rPID|||123~456~789~" + "0" * 30, longest=9)
    person = message.first("PID")
    assert person is not None
    assert [value.text() for value in person.values(3)] == ["123", "456"]
    assert message.header.text(3) == "x" * 9


def test_message_type_from_other_places() -> None:
    assert parse("MSH|^~\\&|||||||ADT\rEVN|A08|x").trigger == "A08"
    message = parse("MSH|^~\\&|||||||ADT_A04|1")
    assert (message.code, message.trigger) == ("ADT", "A04")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("", "utf-8"),
        ("", "latin-1"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859_15"),
        ("8859/5", "iso8859_5"),
        ("GB 18030-2000", "gb18030"),
        ("ISO IR87", "iso2022_jp"),
        ("KS X 1001", "euc_kr"),
        ("BIG-5", "big5"),
        ("ASCII", "utf-8"),
        ("no such set", "utf-8"),
        ("ASCII~ISO IR87", "iso2022_jp"),
        ("~ISO IR87", "iso2022_jp"),
        ("~8859/2", "iso8859_2"),
        ("UNICODE UTF-8", "latin-1"),
        ("UNICODE UTF-16", "utf-16"),
        ("", "utf-16-le"),
        ("", "utf-8-sig"),
    ],
)
def test_character_sets(name: str, codec: str) -> None:
    given = {"iso8859_5": "Иван", "gb18030": "王小明", "iso2022_jp": "山田", "euc_kr": "홍길동", "big5": "王"}
    text = f"MSH|^~\\&|HIS|||||||||||||||{name}\rPID|||1||{given.get(codec, 'Müller')}\r"
    assert parse(decode(text.encode(codec))).segments[1].text(5) == given.get(codec, "Müller")


def test_random_bytes_decode_to_something() -> None:
    chance = random.Random(7)
    for _ in range(300):
        data = b"MSH|^~\\&" * chance.randint(0, 1) + chance.randbytes(chance.randint(0, 200))
        declared(data)
        text = decode(data)
        try:
            for segment in parse(text).segments:
                for number in range(len(segment.fields)):
                    segment.text(number, 2, 2)
        except NotHl7:
            continue


def test_names_both_ways() -> None:
    person = parse(MESSAGE).first("PID")
    assert person is not None
    assert pn_from_xpn(person.values(5)) == "Muster^Anna^M^Dr.^jun."
    pn = "Yamada^Tarou^^Dr.^III=山田^太郎=やまだ^たろう"
    segment = parse("MSH|^~\\&|\rPID|||||" + "~".join(xpn_from_pn(pn))).segments[1]
    assert pn_from_xpn(segment.values(5)) == pn


def test_legal_name_is_taken_and_others_kept() -> None:
    values = parse("MSH|^~\\&|\rPID|||||Maiden^Anna^^^^^M~Legal^Anna^^^^^L~^^^").segments[1].values(5)
    assert pn_from_xpn(values) == "Legal^Anna"
    assert other_names(values, "Legal^Anna") == ["Maiden^Anna"]


def test_names_can_not_break_a_pn() -> None:
    values = parse("MSH|^~\\&|\rPID|||||A\\S\\B=C\\E\\D^E").segments[1].values(5)
    assert pn_from_xpn(values) == "A B C D^E"
