"""Readers over an upload's parts notice what the store lost."""

from pathlib import Path

import pytest

from kit.archives import parts as module
from kit.archives.parts import open_parts
from kit.errors import TransientError
from kit.objects.files import FileObjects


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    found = FileObjects(tmp_path)
    found.put("incoming/a", [b"first"])
    found.put("incoming/b", [b"second"])
    return found


@pytest.mark.parametrize("whole", [module.WHOLE, 1], ids=["memory", "ranges"])
@pytest.mark.parametrize("keys", [("a",), ("a", "b")], ids=["one", "two"])
def test_parts_follow_each_other(
    objects: FileObjects, keys: tuple[str, ...], whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", whole)
    sizes = {"a": 5, "b": 6}
    with open_parts(objects, [(f"incoming/{key}", sizes[key]) for key in keys]) as file:
        assert file.read() == b"firstsecond"[: sum(sizes[key] for key in keys)]


@pytest.mark.parametrize("whole", [module.WHOLE, 1], ids=["memory", "ranges"])
@pytest.mark.parametrize("keys", [("a",), ("b", "a"), ("a", "b")], ids=["one", "last", "first"])
def test_a_part_that_is_shorter_than_it_was_is_the_stores_fault(
    objects: FileObjects, keys: tuple[str, ...], whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", whole)
    sizes = {"a": 7, "b": 6}
    with (
        pytest.raises(TransientError, match="stored part"),
        open_parts(objects, [(f"incoming/{key}", sizes[key]) for key in keys]) as file,
    ):
        file.read()
