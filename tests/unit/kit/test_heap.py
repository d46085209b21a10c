"""What a start made is not looked through again."""

import gc
import weakref

from kit.heap import settle


class _Ring:
    def __init__(self) -> None:
        self.self = self


def test_what_is_there_is_kept_and_what_is_garbage_goes_first() -> None:
    kept, garbage = _Ring(), weakref.ref(_Ring())
    try:
        settle()
        assert garbage() is None
        assert not any(known is kept for known in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(known is kept for known in gc.get_objects())
