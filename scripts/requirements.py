"""What has to be installed before the package itself: `python -m scripts.requirements [EXTRA…]`.

With what builds it, so that building fetches nothing that is not pinned.
"""

import sys
import tomllib
from pathlib import Path

SETUPTOOLS = "setuptools==80.9.0"


def requirements(*extras: str) -> list[str]:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return [SETUPTOOLS, *wanted]


if __name__ == "__main__":
    print("\n".join(requirements(*sys.argv[1:])))
