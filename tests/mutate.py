"""Can the tests fail? Makes one small error at a time in formulas and runs their package's tests.

    python tests/mutate.py --count 8 cpp/nnth/paths/norm_sampler.cpp python/nnth/_gp

The errors are those of `mutants.py`. Each is made in a copy of the working tree, built there and
tested until the first failure; errors that no test noticed are printed as `file:line: before ->
after`. The chosen errors depend on `--seed` alone. `mutants_alike.txt` lists, with the reason,
errors that change no result: they are not made.

Needs the installed package, git, cmake, ninja and pybind11; with ccache builds are shorter.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import random
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import tomllib
import venv
from pathlib import Path

from mutants import Mutant, mutants_of

from nnth import _core

ROOT = Path(__file__).resolve().parents[1]
ALIKE = Path(__file__).with_name("mutants_alike.txt")
MEMORY = 8 << 30  # an error may produce a wrong size and allocate all memory

# The tests that should notice an error, by the beginning of its path; the first match counts. Tests
# of the command line, which depend on the clock, are left out.
TESTS = {
    "python/nnth/_networks/passes": "lab_derivatives",
    "python/nnth/_lab/optimizers": "lab_optimizers",
    "python/nnth/_lab/schedules": "lab_optimizers lab_noise",
    "python/nnth/_lab/batches": "lab_noise",
    "python/nnth/_lab/descent": "lab_noise lab_ensembles",
    "python/nnth/_lab/parametrization": "lab_parametrization",
    "python/nnth/_lab/model": "lab_parametrization lab_derivatives",
    "python/nnth/_lab/objective": "lab_derivatives lab_ensembles",
    "python/nnth/_lab/losses": "lab_derivatives",
    "python/nnth/_lab/curvature": "lab_derivatives",
    "python/nnth/_lab/derivatives": "lab_derivatives",
    "cpp/nnth/numerics/integer": "regions_exact",
    "cpp/nnth/numerics/modular": "arrangement regions_exact",
    "cpp/nnth/numerics/elimination": "arrangement regions_exact",
    "cpp/nnth/numerics/restriction": "arrangement",
    "cpp/nnth/numerics/dyadic": "arrangement regions_exact regions",
    "cpp/nnth/numerics/moments": "path_samplers gp",
    "cpp/nnth/numerics/semidefinite": "path_samplers gp",
    "cpp/nnth/numerics/random": "random",
    "cpp/nnth/numerics/philox": "random",
    "cpp/nnth/numerics/normal": "random",
    "cpp/nnth/numerics/quadrature": "quadrature kernel",
    "cpp/nnth/numerics/chebyshev": "gram criticality",
    "cpp/nnth/numerics/bracket": "criticality",
    "cpp/nnth/numerics/double_double": "hermite path_moments",
    "cpp/nnth/numerics/v": "vmath random",
    "cpp/nnth/kernel/vertex": "gp",
    "cpp/nnth/kernel/layer_moments": "gp",
    "cpp/nnth/kernel/net_sampler": "gp",
    "cpp/nnth/kernel/fixed_points": "criticality",
    "cpp/nnth/kernel/variance_map": "criticality",
    "cpp/nnth/kernel/balance": "criticality",
    "cpp/nnth/kernel/correlation_points": "criticality",
    "cpp/nnth/kernel/program": "activation taylor",
    "cpp/nnth/kernel/hermite_series": "hermite gram",
    "cpp/nnth/kernel/hermite": "hermite",
    "cpp/nnth/kernel/diagonals": "gram",
    "cpp/nnth/kernel/gram": "gram blocks gram_of_tests gram_of_layers",
    "cpp/nnth/kernel/layer_diagonals": "gram_of_layers",
    "cpp/nnth/kernel/layer_maps": "layers",
    "cpp/nnth/kernel/layer_step": "layers kernel reference",
    "cpp/nnth/kernel/layers": "layers",
    "cpp/nnth/kernel/network_maps": "gram_of_layers",
    "cpp/nnth/kernel/tabulated_layer": "gram gram_of_layers",
    "cpp/nnth/kernel/layered_map": "gram",
    "cpp/nnth/kernel/leaky_relu_map": "gram",
    "cpp/nnth/kernel/pair_maps": "gram",
    "cpp/nnth/kernel/pair_sums": "gram",
    "cpp/nnth/kernel/products": "gram blocks",
    "cpp/nnth/kernel/table_map": "gram",
    "cpp/nnth/numerics/gamma": "linear_nets",
    "cpp/nnth/catapult/": "catapult",
    "cpp/nnth/linear_nets/": "linear_nets",
    "cpp/nnth/kernel/": "closed_forms reference kernel",
    "cpp/nnth/paths/": "path_moments paths path_samplers",
    "cpp/nnth/numerics/cone": "region_search",
    "cpp/nnth/numerics/exact_cone": "region_search",
    "cpp/nnth/regions/arrangement": "arrangement",
    "cpp/nnth/regions/calculus": "region_calculus",
    "cpp/nnth/regions/averages": "region_calculus",
    "cpp/nnth/regions/level": "region_calculus",
    "cpp/nnth/regions/mesh": "region_calculus",
    "cpp/nnth/regions/search": "region_search",
    "cpp/nnth/regions/divided_search": "region_search",
    "cpp/nnth/regions/domain": "region_domains region_search",
    "cpp/nnth/regions/": "regions regions_exact region_slices region_measure",
    "python/nnth/_curvature/class": "classes",
    "python/nnth/_curvature/collapse": "collapse",
    "python/nnth/_curvature/hessian": "hessian",
    "python/nnth/_curvature/density": "hessian",
    "python/nnth/_runtime/lanczos": "hessian",
    "python/nnth/_curvature/sharpness": "sharpness",
    "python/nnth/_curvature/": "training",
    "python/nnth/_activations/taylor": "taylor",
    "python/nnth/_activations/near_zero": "taylor",
    "python/nnth/_activations/pieces": "taylor",
    "python/nnth/_activations/smoothness": "taylor",
    "python/nnth/_activations/recognition": "taylor",
    "python/nnth/_data/examples": "labeled_examples",
    "python/nnth/_paths/": "path_moments paths path_samplers",
    "python/nnth/_regions/any_dimension": "region_search",
    "python/nnth/_regions/arrangement": "arrangement",
    "python/nnth/_regions/polytope_domain": "region_domains",
    "python/nnth/_regions/domains": "region_domains",
    "python/nnth/_regions/bounds_table": "regions",
    "python/nnth/_regions/bounds": "region_bounds",
    "python/nnth/_regions/measure": "region_calculus",
    "python/nnth/_regions/point_averages": "region_calculus",
    "python/nnth/_regions/random_expectations": "region_calculus",
    "python/nnth/_regions/distance": "region_distance",
    "python/nnth/_regions/radius": "region_radius",
    "python/nnth/_regions/": "regions regions_exact region_slices",
    "python/nnth/_gp/": "gp",
    "python/nnth/_criticality/": "criticality",
    "python/nnth/_rates/": "rates",
    "python/nnth/_predict/krylov_flow": "predict_solvers",
    "python/nnth/_predict/": "predict",
    "python/nnth/_hermite/": "hermite",
    "python/nnth/_linear_nets/": "linear_nets",
    "python/nnth/_catapult/": "catapult",
    "python/nnth/_quadratic/": "quadratic",
    "python/nnth/_lazy/": "lazy",
    "python/nnth/_networks/apart": "network_files",
    "python/nnth/_networks/keras_file": "network_files",
    "python/nnth/_networks/onnx_file": "network_files",
    "python/nnth/_networks/state_dict": "network_files network",
    "python/nnth/_networks/torch_file": "network_files",
    "python/nnth/_mup/": "mup",
    "python/nnth/_net/gram_training": "gram_training",
    "python/nnth/_net/": "net",
    "python/nnth/_explain/": "explain",
    "python/nnth/_kernels/kernel": "kernel reference",
    "python/nnth/_kernels/layers": "layers gram_of_layers",
    "python/nnth/_kernels/gram": "gram gram_of_tests",
    "python/nnth/_kernels/stored/": "stored",
    "python/nnth/_kernels/blocks": "blocks",
    "python/nnth/_kernels/network_kernel": "blocks gram_of_tests kernel_protocol",
    "python/nnth/_kernels/distance_kernels": "blocks kernel_protocol",
    "python/nnth/_kernels/given_kernels": "blocks kernel_protocol",
    "python/nnth/_kernels/operator": "operator",
    "python/nnth/_kernels/features/": "feature_fit",
    "python/nnth/_rkhs/feature": "feature_fit",
    "python/nnth/": "kernel data network activation expression table",
}


def tests_of(path: str) -> list[str]:
    names = next(names for start, names in TESTS.items() if path.startswith(start))
    files = [next((ROOT / "tests").glob(f"*/test_{name}.py")) for name in names.split()]
    return [str(file.relative_to(ROOT)) for file in files]


def known_alike() -> set[tuple[str, str, str]]:
    """Return the errors that change no result: file, line before, line after."""
    blocks = [block.splitlines() for block in ALIKE.read_text().split("\n\n")[1:]]
    return {(lines[0].strip(), lines[1].strip(), lines[2].strip()) for lines in blocks}


def chosen(path: str, text: str, seed: int, count: int) -> list[Mutant]:
    alike = known_alike()
    every = [m for m in mutants_of(path, text) if (path, *m.lines(text)) not in alike]
    return random.Random(f"{seed}:{path}").sample(every, min(count, len(every)))


class Copy:
    """A copy of the working tree with a separate interpreter and build."""

    def __init__(self, folder: Path, rebuilds: bool) -> None:
        self.folder, self.build, self.bin = folder, folder / "build", folder / "venv" / "bin"
        self.environment = {
            **os.environ,
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CCACHE_BASEDIR": str(folder.parent),
            "CCACHE_NOHASHDIR": "1",
        }
        list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(list_files, cwd=ROOT, text=True).split("\0"):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        self.make_interpreter()
        if not rebuilds:
            shutil.copy(_core.__file__, folder / "python" / "nnth")
            return
        self.configure()
        if not self.compiles():
            raise RuntimeError("the working tree does not build")

    def make_interpreter(self) -> None:
        """Make an interpreter with the packages of this one, except that `nnth` is the copy's."""
        venv.create(self.bin.parent)
        version = sysconfig.get_python_version()
        site = self.bin.parent / "lib" / f"python{version}" / "site-packages"
        paths = [self.folder / "python", self.folder / "cli", sysconfig.get_path("purelib")]
        (site / "copy.pth").write_text("\n".join(map(str, paths)) + "\n")
        script = self.bin / "nnth"
        script.write_text(f"#!{self.bin}/python\nfrom nnth_cli.start import main\nmain()\n")
        script.chmod(0o755)

    def configure(self) -> None:
        """Configure a fast build that checks the indices of vectors."""
        pybind11 = [sys.executable, "-m", "pybind11", "--cmakedir"]
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        options = {
            "SKBUILD_PROJECT_VERSION": project["version"],
            "pybind11_DIR": subprocess.check_output(pybind11, text=True).strip(),
            "PYBIND11_FINDPYTHON": "ON",
            "Python_EXECUTABLE": sys.executable,
            "CMAKE_BUILD_TYPE": "Mutants",
            "CMAKE_CXX_FLAGS": "-O1 -D_GLIBCXX_ASSERTIONS",
            "CMAKE_INTERPROCEDURAL_OPTIMIZATION": "OFF",
            "CMAKE_CXX_COMPILER_LAUNCHER": "ccache" if shutil.which("ccache") else "",
        }
        defined = [f"-D{name}={value}" for name, value in options.items()]
        if self.run(["cmake", "-S", ".", "-B", str(self.build), "-G", "Ninja", *defined], 600.0):
            raise RuntimeError("cmake fails; are cmake and ninja there?")

    def compiles(self) -> bool:
        build = ["cmake", "--build", str(self.build), "-j", "1"]
        install = ["cmake", "--install", str(self.build), "--prefix", str(self.folder / "python")]
        return self.run(build, 3600.0) == 0 and self.run(install, 600.0) == 0

    def passes(self, path: str, limit: float) -> bool:
        """Return whether the tests of this file's package pass within a number of seconds."""
        # Tests that failed last time come first: they are the most likely to fail again.
        options = ["-x", "-q", "--ff", "--hypothesis-seed=0"]
        return self.run(["python", "-m", "pytest", "-n0", *options, *tests_of(path)], limit) == 0

    def survives(self, mutant: Mutant, limit: float) -> bool:
        """Return whether the mutant builds and no test of its package fails or hangs."""
        file = self.folder / mutant.path
        text = file.read_text()
        try:
            file.write_text(mutant.applied(text))
            return (file.suffix == ".py" or self.compiles()) and self.passes(mutant.path, limit)
        finally:
            file.write_text(text)

    def run(self, command: list[str], limit: float) -> int:
        """Return the exit code, below 0 if it was killed after more than `limit` seconds."""
        process = subprocess.Popen(
            [shutil.which(command[0], path=self.environment["PATH"]) or command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Run:
    """Mutants distributed over copies, each with a thread of this process."""

    def __init__(self, mutants: list[Mutant], texts: dict[str, str], rebuilds: bool) -> None:
        self.texts = texts
        self.work: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for mutant in mutants:
            self.work.put(mutant)
        self.rebuilds = rebuilds
        self.survivors: list[str] = []
        self.failures: list[str] = []
        self.limits: dict[tuple[str, ...], float] = {}
        self.lock = threading.Lock()

    def in_copy(self, folder: Path) -> None:
        try:
            copy = Copy(folder, self.rebuilds)
            while True:
                self.try_one(copy, self.work.get_nowait())
        except queue.Empty:
            pass
        except RuntimeError as error:
            self.failures.append(str(error))

    def try_one(self, copy: Copy, mutant: Mutant) -> None:
        limit = self.limit(copy, mutant.path)
        begun = time.monotonic()
        survives = copy.survives(mutant, limit)
        shown = mutant.shown(self.texts[mutant.path])
        word = "SURVIVES" if survives else "noticed "
        print(f"{word} {time.monotonic() - begun:4.0f} s  {shown}", flush=True)
        if survives:
            self.survivors.append(shown)

    def limit(self, copy: Copy, path: str) -> float:
        """Return the seconds after which tests count as hanging: a multiple of their usual time."""
        tests = tuple(tests_of(path))
        with self.lock:
            if tests not in self.limits:
                begun = time.monotonic()
                if not copy.passes(path, 3600.0):
                    raise RuntimeError(f"{' '.join(tests)} fail as the tree is")
                self.limits[tests] = 30.0 + 4.0 * (time.monotonic() - begun)
            return self.limits[tests]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, help="files or folders of the tree")
    parser.add_argument("--count", type=int, default=8, help="errors a file")
    parser.add_argument("--seed", type=int, default=1, help="which errors")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies at work")
    parser.add_argument("--list", action="store_true", help="print the errors, make none")
    return parser.parse_args()


def files_in(path: Path) -> list[str]:
    """Return the sources at a path of the tree, relative to its root."""
    files = sorted(path.resolve().rglob("*")) if path.is_dir() else [path.resolve()]
    return [str(f.relative_to(ROOT)) for f in files if f.suffix in (".py", ".cpp", ".hpp")]


def main() -> int:
    options = arguments()
    texts = {f: (ROOT / f).read_text() for path in options.paths for f in files_in(path)}
    mutants = [m for f, text in texts.items() for m in chosen(f, text, options.seed, options.count)]
    if options.list:
        print(*(m.shown(texts[m.path]) for m in mutants), sep="\n")
        return 0
    run = Run(mutants, texts, rebuilds=any(not file.endswith(".py") for file in texts))
    with tempfile.TemporaryDirectory(prefix="nnth-mutants-") as scratch:
        folders = [Path(scratch) / str(number) for number in range(options.jobs)]
        threads = [threading.Thread(target=run.in_copy, args=(folder,)) for folder in folders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(*run.failures, f"{len(run.survivors)} of {len(mutants)} survive:", sep="\n")
    print(*sorted(run.survivors), sep="\n")
    return 1 if run.survivors or run.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
