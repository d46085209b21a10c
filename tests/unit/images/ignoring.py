"""What .dockerignore keeps out of the image's build."""

import fnmatch

from tests.unit.images.dockerfile import ROOT


def ignored(path: str) -> bool:
    """The last line that fits decides, for the path or a folder it lies in."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parents = [path, *(path[:i] for i, sign in enumerate(path) if sign == "/")]
        plain = pattern.removeprefix("**/")
        names = [p.rpartition("/")[2] for p in parents] if pattern.startswith("**/") else parents
        if any(fnmatch.fnmatchcase(name, plain) for name in names):
            verdict = not line.startswith("!")
    return verdict
