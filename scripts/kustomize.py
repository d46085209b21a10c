"""`make kustomize`: the Kustomize command, pinned, through the Go module proxy, into .engines/.

Rendering takes this one, else the one within kubectl.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.engines.install import KUSTOMIZE, Missing, install_kustomize

FOLDER = Path(__file__).parents[1] / ".engines" / "kustomize"


def command() -> list[str] | None:
    """What renders a folder given as its last argument; None where nothing does."""
    own = FOLDER / "bin" / "kustomize"
    if own.exists():
        return [str(own), "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def render(folder: Path) -> str:
    """One stream of documents. Raises RuntimeError with Kustomize's own words."""
    wanted = command()
    if wanted is None:
        raise FileNotFoundError("neither kustomize (make kustomize) nor kubectl is here")
    done = subprocess.run([*wanted, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    return done.stdout


def main() -> int:
    try:
        install_kustomize(FOLDER)
    except Missing as error:
        print(f"{KUSTOMIZE} can't be had: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
