"""The heap of a process that serves: what its start made stays, so it is not looked through again."""

import gc


def settle() -> None:
    """Call once, when everything has started. Otherwise a full collection looks through all that was
    loaded: 170,000 objects, 65 to 85 ms in which nothing is served, as soon as a quarter as many are new."""
    gc.collect()
    gc.freeze()
