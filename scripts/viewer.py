"""Prepares the OHIF viewer, which is served under /viewer/: `make viewer`.

Fetches the published package by name through npm, checks it, leaves out what is not used, rebases it
to its folder, minifies and compresses it. Does nothing when that has been done before.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE, INTEGRITY = (
    "@ohif/app@3.13.2",
    "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==",
)
MINIFIER = "esbuild@0.28.2"
TARGET = Path(__file__).parents[1] / "services" / "view" / "ohif"
BASE = "/viewer/"

_UNUSED = (
    "ort",
    "dicom-microscopy-viewer",
    "customizations",
    "_headers",
    "_redirects",
    "es6-shim.min.js",
    "google.js",
    "init-service-worker.js",
    "oidc-client.min.js",
    "polyfill.min.js",
    "serve.json",
    "silent-refresh.html",
    "sw.js",
    "app-config.js",
)
_FIRST = (
    *(1673, 6938, 6489, 6495, 8478, 89, 6749, 5696, 1483, 9383),
    *(7248, 781, 9415, 3500, 9116, 100, 5406, 3760),
)
_FIRST_STYLES = (6214, 3833, 781, 9415, 3760)
"""Parts that showing any study needs: asked for at once, not one after the other."""
_NO_PRIORS = (
    "const mrn = qidoForStudyUID[0].mrn;",
    "return qidoForStudyUID; const mrn = qidoForStudyUID[0].mrn;",
)
"""A patient's other studies are not searched for by patient ID: that would stand in an address."""
_NOT_OFFERED = (
    'pluginImports_modes.push("@ohif/mode-tmtv");',
    'pluginImports_modes.push("@ohif/mode-microscopy");',
    'pluginImports_modes.push("@ohif/mode-preclinical-4d");',
    'pluginImports_modes.push("@ohif/mode-ultrasound-pleura-bline");',
    'pluginImports_extensions.push("@ohif/extension-ultrasound-pleura-bline");',
)
"""Modes for research, and the one whose library is left out: each start would load them all."""
_EACH_CONTEXT_AT_ONCE = (
    """        for (let i = 0; i < count; i++) {
            const offscreenMultiRenderWindow =""",
    """        this.contexts.length = count;
        this.prepare = (i) => {
            const offscreenMultiRenderWindow =""",
)
_KEPT_CONTEXT = (
    """            this.contexts.push(offscreenMultiRenderWindow);
            this.offScreenCanvasContainers.push(container);""",
    """            this.contexts[i] = offscreenMultiRenderWindow;
            this.offScreenCanvasContainers[i] = container;""",
)
_ASKED_CONTEXT = (
    """        if (index >= 0 && index < this.contexts.length) {
            return {
                context:""",
    """        if (index >= 0 && index < this.contexts.length) {
            this.contexts[index] ?? this.prepare(index);
            return {
                context:""",
)
_CONTEXTS_WHEN_NEEDED = (_EACH_CONTEXT_AT_ONCE, _KEPT_CONTEXT, _ASKED_CONTEXT)
"""Seven drawing contexts (WebGL) are made before the first image, which needs one. Each is made when it is
first asked for; all are asked for by their index."""
_COMPRESS = """
const fs = require("fs"), zlib = require("zlib");
for (const name of JSON.parse(fs.readFileSync(0, "utf8"))) {
  const data = fs.readFileSync(name);
  fs.writeFileSync(name + ".gz", zlib.gzipSync(data, { level: 9 }));
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 9, [zlib.constants.BROTLI_PARAM_LGWIN]: 22 };
  fs.writeFileSync(name + ".br", zlib.brotliCompressSync(data, { params }));
}
"""
_COMPRESSED = {".js", ".css", ".html", ".json", ".svg", ".wasm"}


def main() -> int:
    stamp = TARGET / "stamp"
    wanted = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("The viewer is not prepared: it needs npm and node. Everything else works without it.")
        return 0
    with tempfile.TemporaryDirectory(prefix="viewer-") as name:
        work = Path(name)
        built = fetched(work)
        _trim(built)
        _rebase(built)
        _minify(built, work)
        _compress(built)
        (built / "stamp").write_text(wanted)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(built, TARGET)
    size = sum(path.stat().st_size for path in TARGET.rglob("*") if path.suffix not in (".gz", ".br"))
    print(f"The viewer is prepared: {PACKAGE}, {size / 1e6:.0f} MB.")
    return 0


def fetched(work: Path) -> Path:
    """The viewer as it is published, unpacked below `work`. Raises SystemExit where it is another one."""
    _run("npm", "pack", "--silent", PACKAGE, cwd=work)
    (archive,) = work.glob("*.tgz")
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        raise SystemExit(f"{PACKAGE} is not the package that was tried: {found}")
    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    built = work / "package" / "dist"
    shutil.copy(work / "package" / "LICENSE", built / "LICENSE")
    return built


def _trim(built: Path) -> None:
    for name in _UNUSED:
        path = built / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in [*built.rglob("*.map"), *(built / "assets").glob("apple-touch-startup-*")]:
        path.unlink()


def _rebase(built: Path) -> None:
    """Everything lies below BASE; scripts of the page become files, so that its policy allows no others."""
    root = '__webpack_require__.p = "/"'
    for path in built.glob("*.bundle.*.js"):
        if root in path.read_text():
            _replace(path, root, root.replace("/", BASE))
    _replace(next(built.glob("89.bundle.*.js")), *_NO_PRIORS)
    for mode in _NOT_OFFERED:
        _replace(next(built.glob("app.bundle.*.js")), mode, "")
    for change in _CONTEXTS_WHEN_NEEDED:
        _replace(next(built.glob("app.bundle.*.js")), *change)
    for path in built.glob("*.css"):
        _replace(path, "url(/", f"url({BASE}")
    for path in (
        built / "manifest.json",
        *(built / "assets").glob("*.json"),
        built / "assets/manifest.webapp",
    ):
        if path.exists():
            _replace(path, '"/assets/', f'"{BASE}assets/')
    page = (built / "index.html").read_text()
    page = re.sub(r"<script\b[^>]*>(?!</script>).*?</script>", "", page, flags=re.DOTALL)
    page = re.sub(r'<script rel="preload"[^>]*></script>', "", page)
    page = re.sub(r'<link rel="apple-touch-startup-image"[^>]*>', "", page)
    page = re.sub(r'(href|src|content)="/(?!/)', rf'\1="{BASE}', page)
    first = [path.name for number in _FIRST for path in built.glob(f"{number}.bundle.*.js")]
    ahead = "".join(f'<link rel="preload" as="script" href="{BASE}{name}">' for name in first)
    ahead += "".join(f'<link rel="preload" as="style" href="{BASE}{number}.css">' for number in _FIRST_STYLES)
    page = page.replace("<title>", f'<script src="{BASE}app-config.js"></script><title>', 1)
    page = page.replace("</head>", f"{ahead}</head>", 1)
    (built / "index.html").write_text(page)


def _replace(path: Path, old: str, new: str) -> None:
    """Every occurrence. The package is the one that was tried, so there is one."""
    text = path.read_text()
    if old not in text and path.suffix == ".js":
        raise SystemExit(f"{path.name} is not as expected: no {old!r}")
    path.write_text(text.replace(old, new))


def _minify(built: Path, work: Path) -> None:
    tools, out = work / "tools", work / "minified"
    tools.mkdir()
    _run("npm", "install", "--silent", "--no-save", "--no-audit", "--no-fund", MINIFIER, cwd=tools)
    names = [str(path) for path in (*built.glob("*.js"), *built.glob("*.css"))]
    options = ("--minify", "--log-level=error", f"--outdir={out}", "--charset=utf8")
    _run(str(tools / "node_modules/.bin/esbuild"), *names, *options, cwd=work)
    shutil.copytree(out, built, dirs_exist_ok=True)


def _compress(built: Path) -> None:
    names = [str(path) for path in _compressible(built)]
    subprocess.run(["node", "-e", _COMPRESS], input=json.dumps(names).encode(), check=True)


def _compressible(built: Path) -> Iterator[Path]:
    return (path for path in built.rglob("*") if path.suffix in _COMPRESSED and path.stat().st_size > 1000)


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed: {done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
