"""The virtual environments of the peers: their packages, and how to make or find them."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contender import last_line


@dataclass(frozen=True)
class Environment:
    """Pinned packages, and the modules that must be importable with them."""

    requirements: tuple[str, ...]
    modules: str


# Separate environments, since their pins contradict each other and nnth's.
ENVIRONMENTS = {
    # 0.6.5 is the last; it fails with jax since 0.4.26, and imports TensorFlow without pinning it.
    "neural-tangents": Environment(
        (
            "neural-tangents==0.6.5",
            "jax==0.4.25",
            "jaxlib==0.4.25",
            "numpy==1.26.4",
            "scipy==1.12.0",
            "ml-dtypes==0.5.4",
            "tensorflow==2.21.0",
            "tf2jax==0.3.6",
        ),
        "neural_tangents",
    ),
    "scikit-ntk": Environment(
        ("scikit-ntk==1.2.1", "scikit-learn==1.9.1", "numpy==2.4.6", "scipy==1.17.1"), "skntk"
    ),
    "regioncam": Environment(("regioncam==0.5.2", "numpy==2.4.6"), "regioncam"),
    "torch": Environment(("torch==2.13.0", "numpy==2.4.6"), "torch"),
    "curvlinops": Environment(
        ("curvlinops-for-pytorch==3.0.1", "torch==2.13.0", "numpy==2.4.6", "scipy==1.17.1"),
        "curvlinops",
    ),
    "nngeometry": Environment(
        ("nngeometry==0.4", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"), "nngeometry"
    ),
    "hessian-eigenthings": Environment(
        ("hessian-eigenthings==1.0.0a5", "torch==2.13.0", "numpy==2.4.6"), "hessian_eigenthings"
    ),
    "mpmath": Environment(("mpmath==1.4.1",), "mpmath"),
}


@dataclass(frozen=True)
class Peer:
    """The interpreter of a peer's environment, or the reason why there is none."""

    name: str
    python: str | None
    reason: str = ""


def prepare(name: str, environment: Environment, folder: Path, install: bool = True) -> Peer:
    """Find the environment in `folder`, or make it there; if its pins change, make it again."""
    place = folder / name
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    made_of, wanted = place / "requirements.txt", "\n".join(environment.requirements) + "\n"
    if not (made_of.exists() and made_of.read_text() == wanted):
        if not install:
            return Peer(name, None, f"not installed in {folder}")
        shutil.rmtree(place, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *environment.requirements,
            ],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                return Peer(name, None, f"does not install: {error_line(done.stderr)}")
        made_of.write_text(wanted)
    done = subprocess.run(
        [str(python), "-c", f"import {environment.modules}"], capture_output=True, text=True
    )
    if done.returncode:
        return Peer(name, None, f"does not import: {last_line(done.stderr)}")
    return Peer(name, str(python))


def error_line(text: str) -> str:
    """Return pip's last error: warnings and notices may follow it."""
    errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
    return last_line(errors[-1] if errors else text)
