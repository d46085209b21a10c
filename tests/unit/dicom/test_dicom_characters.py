"""Character sets of PS3.5 annexes H to J and of practice."""

import pytest

from kit.dicom.characters import Text, codec_of

CASES = [
    (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (("ISO_IR 101",), b"W\xb3odarczyk", "Włodarczyk"),
    (("ISO_IR 144",), b"\xbb\xee\xda\x63\x65\xdc\xd1\xe3\xe0\xd3", "Люкceмбург"),
    (("ISO_IR 127",), b"\xe2\xc8\xc7\xe6\xea", "قباني"),
    (("ISO_IR 126",), b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (("ISO_IR 138",), b"\xf9\xf8\xe5\xef", "שרון"),
    (("ISO_IR 166",), b"\xcd\xd2", "อา"),
    (("ISO_IR 192",), "王^小東".encode(), "王^小東"),
    (("GB18030",), "王^小东".encode("gb18030"), "王^小东"),
    (("GBK",), "王^小东".encode("gbk"), "王^小东"),
    (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ("ISO_IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        ("", "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        ("", "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (
        ("ISO 2022 IR 6", "ISO 2022 IR 100", "ISO 2022 IR 144"),
        b"J\x1b-A\xe9r\xf4me \x1b-L\xbb\xee\xda",
        "Jérôme Люк",
    ),
]


@pytest.mark.parametrize(("terms", "data", "text"), CASES)
def test_decoding(terms: tuple[str, ...], data: bytes, text: str) -> None:
    decoder = Text(terms)
    assert decoder.decode(data) == text
    assert decoder.troubles == set()


@pytest.mark.parametrize("term", ["ISO_IR_100", "ISO-IR 100", "ISO IR 100", "iso_ir 100", "ISO 2022 IR 100"])
def test_customary_misspellings(term: str) -> None:
    assert codec_of(term) == "latin_1"


def test_unknown_terms_are_noted() -> None:
    decoder = Text(("NONSENSE",))
    assert decoder.decode(b"abc") == "abc"
    assert decoder.troubles == {"charset-unknown"}


@pytest.mark.parametrize(
    ("terms", "text", "can"),
    [
        ((), "Doe^Jane", True),
        ((), "Müller", False),
        (("ISO_IR 100",), "Müller", True),
        (("ISO_IR 100",), "Łukasz", False),
        (("ISO_IR 192",), "山田", True),
        (("GB18030",), "山田", True),
        (("ISO_IR 13",), "山田", False),
        (("ISO_IR 13",), "ﾔﾏﾀﾞ", True),
        (("", "ISO 2022 IR 87"), "山田", False),
        (("", "ISO 2022 IR 87"), "Yamada", True),
    ],
)
def test_what_a_set_can_write(terms: tuple[str, ...], text: str, can: bool) -> None:
    decoder = Text(terms)
    assert decoder.can_encode(text) is can
    if can:
        assert decoder.decode(decoder.encode(text)) == text


def test_broken_escapes_do_not_raise() -> None:
    decoder = Text(("", "ISO 2022 IR 87", "ISO 2022 IR 149"))
    for data in (b"\x1b", b"\x1b$B", b"\x1b$B\x21", b"\x1b$B\xff\x21\x1b$)C\xff", b"\x1b$Bxyz^\x1b(B"):
        assert isinstance(decoder.decode(data), str)
