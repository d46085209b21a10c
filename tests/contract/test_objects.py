"""The contract of the objects port; every adapter passes it."""

import pickle
import secrets
from pathlib import Path

import pytest

from kit.errors import NotFound
from kit.objects.files import FileObjects
from kit.objects.s3 import S3Objects, S3Settings
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, engine


@pytest.fixture(params=["files", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "files":
        return FileObjects(tmp_path / "objects")
    adapter = S3Objects(
        S3Settings(
            endpoint=engine("s3"),
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            bucket=f"contract-{secrets.token_hex(6)}",
            secure=False,
        )
    )
    adapter.ensure_bucket()
    return adapter


def test_what_was_put_is_read_back_whole_and_by_range(objects) -> None:
    assert objects.put("a/b/c.dcm", [b"hello ", memoryview(b"world")]).size == 11
    assert objects.read("a/b/c.dcm") == b"hello world"
    assert objects.read("a/b/c.dcm", 6, 3) == b"wor"
    assert objects.read("a/b/c.dcm", 9, 100) == b"ld"
    assert b"".join(objects.stream("a/b/c.dcm", 2)) == b"llo world"
    assert objects.stat("a/b/c.dcm").size == 11


def test_what_lies_behind_the_end_is_nothing(objects) -> None:
    objects.put("k", [b"abc"])
    objects.put("empty", [])
    assert objects.read("k", 3, 5) == objects.read("k", 9, 5) == objects.read("k", 1, 0) == b""
    assert objects.read("empty") == objects.read("empty", 0, 7) == b""
    assert list(objects.stream("k", 3)) == list(objects.stream("empty")) == []


def test_streams_come_in_blocks_of_at_most_a_mebibyte(objects) -> None:
    objects.put("big", [b"x" * 3_500_000])
    blocks = list(objects.stream("big", 10, 3_000_000))
    assert sum(map(len, blocks)) == 3_000_000
    assert max(map(len, blocks)) <= 1 << 20


def test_open_gives_a_seekable_reader(objects) -> None:
    objects.put("k", [b"0123456789"])
    with objects.open("k") as file:
        file.seek(-3, 2)
        assert file.read() == b"789"


def test_nothing_is_there_before_commit_nor_after_leaving_without_it(objects) -> None:
    with objects.writer("w") as writer:
        writer.write(b"abc")
        assert objects.stat("w") is None
    assert objects.stat("w") is None
    assert list(objects.list("")) == []


def test_an_error_while_putting_leaves_the_old_object(objects) -> None:
    objects.put("k", [b"old"])

    def broken():
        yield b"new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        objects.put("k", broken())
    assert objects.read("k") == b"old"


def test_putting_again_replaces(objects) -> None:
    objects.put("k", [b"one"])
    objects.put("k", [b"two"])
    assert objects.read("k") == b"two"


def test_adopt_takes_a_local_file_over(objects, tmp_path: Path) -> None:
    path = tmp_path / "local"
    path.write_bytes(b"spooled")
    assert objects.adopt("in/x", path).size == 7
    assert objects.read("in/x") == b"spooled"
    assert not path.exists()


def test_list_by_prefix_in_key_order(objects) -> None:
    for key in ("a/2", "a/1", "a/10", "b/1"):
        objects.put(key, [key.encode()])
    assert [stat.key for stat in objects.list("a/")] == ["a/1", "a/10", "a/2"]
    assert [stat.key for stat in objects.list("a/1")] == ["a/1", "a/10"]
    assert list(objects.list("zzz/")) == []


def test_delete_is_quiet_about_the_absent_and_says_not_found_after(objects) -> None:
    objects.put("a/b", [b"x"])
    objects.delete("a/b")
    objects.delete("a/b")
    assert objects.stat("a/b") is None
    for call in (
        lambda: objects.read("a/b"),
        lambda: objects.open("a/b"),
        lambda: next(objects.stream("a/b")),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize(
    "key", ["", "/a", "a/../b", "../a", "a//b", "A", "a b", "a/", ".tmp/x", "a\n", "a/.b"]
)
def test_keys_the_program_would_never_make_are_refused(objects, key: str) -> None:
    with pytest.raises(ValueError):
        objects.put(key, [b"x"])
    with pytest.raises(ValueError):
        objects.read(key)


def test_the_adapter_travels_to_helper_processes(objects) -> None:
    objects.put("k", [b"x"])
    assert pickle.loads(pickle.dumps(objects)).read("k") == b"x"


def test_a_copy_stays_when_the_first_name_goes(objects) -> None:
    objects.put("incoming/a", [b"bytes"])
    assert objects.copy("incoming/a", "studies/s/p.dcm").size == 5
    objects.copy("incoming/a", "studies/s/p.dcm")
    objects.delete("incoming/a")
    assert objects.read("studies/s/p.dcm") == b"bytes"
    assert [stat.key for stat in objects.list("")] == ["studies/s/p.dcm"]
    with pytest.raises(NotFound):
        objects.copy("incoming/a", "studies/s/q.dcm")


def test_a_copy_replaces_what_had_the_key(objects) -> None:
    objects.put("old", [b"old"])
    objects.put("new", [b"new"])
    objects.copy("new", "old")
    assert objects.read("old") == objects.read("new") == b"new"


def test_a_view_is_the_whole_object(objects) -> None:
    objects.put("k", [b"0123456789"])
    objects.put("empty", [])
    with objects.view("k") as view:
        assert bytes(view[3:6]) == b"345"
        assert len(view) == 10
    with objects.view("empty") as view:
        assert bytes(view) == b""
    with pytest.raises(NotFound), objects.view("absent"):
        pass
