"""The kernel under the address and undefined-behaviour sanitizers of the compiler, on random inputs.

The sources are built anew in a folder of their own, and searched with in a process that has the sanitizers' runtime;
the first report ends it. Language models that were cut or altered at random are read too, and searched with. Leaks are
not looked for: Python itself leaves memory behind.

    python -m tests.trainers.sanitized [--inputs 300]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from tests.trainers.random_sweeps import INPUTS, LANGUAGES, random_inputs
from trainers.decoding import library
from trainers.decoding.kernel import Kernel
from trainers.decoding.library import NotCovered

ROOT = Path(__file__).parent.parent.parent
NATIVE = ROOT / "trainers/decoding/native"
SHARE = INPUTS // LANGUAGES
ALTERED = 20
FLAGS = ("-std=c11", "-O1", "-g", "-ffp-contract=off", "-fno-omit-frame-pointer", "-fPIC", "-shared")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class NoSanitizers(Exception):
    """There is no compiler that has them."""


@cache
def runtime() -> Path:
    """The library that a process has to load first.

    Raises:
        NoSanitizers: There is none.
    """
    if shutil.which("cc") is None:
        raise NoSanitizers("there is no C compiler")
    command = ["cc", "-print-file-name=libasan.so"]
    path = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    if not path.is_absolute() or not path.exists():
        raise NoSanitizers("the C compiler comes without the address sanitizer")
    return path


def build(folder: Path) -> None:
    """Build the sources that lie in ``folder/native`` into a library beside them, where `library` may find it."""
    sources = sorted((folder / "native").glob("*.c"))
    checksum = library.checksum(folder / "native")
    command = ["cc", *FLAGS, *SANITIZERS, f"-DCTC_SOURCES={checksum}u", *map(str, sources)]
    subprocess.run([*command, "-o", str(folder / "_search.so"), "-lm"], check=True)


def search_with(folder: Path, inputs: int) -> subprocess.CompletedProcess[str]:
    """Search random inputs with the library of a folder, in a process with the sanitizers' runtime."""
    environment = os.environ | {
        "LD_PRELOAD": str(runtime()),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, "-m", "tests.trainers.sanitized", "--inputs", str(inputs), "--with", str(folder)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def search(inputs: int) -> str:
    """Search in this process; what was done."""
    read = 0
    for number in range(-(-inputs // SHARE)):
        with tempfile.TemporaryDirectory() as folder:
            language, sweeps = random_inputs(Path(folder), number)
            kernel = Kernel(language.alphabet, language.files)
            sweeps = list(islice(sweeps, inputs - number * SHARE))
            for sweep in sweeps:
                kernel.decode_points(sweep.posteriors, sweep.points)
            whole = language.files.arpa.read_bytes()
            for part in range(ALTERED):
                language.files.arpa.write_bytes(_altered(whole, np.random.default_rng([number, part])))
                try:
                    Kernel(language.alphabet, language.files).decode_points(sweeps[0].posteriors, sweeps[0].points)
                except NotCovered:
                    continue
                read += 1
    return f"{inputs} inputs searched, {read} of {ALTERED * (number + 1)} altered language models read, no report"


def _altered(whole: bytes, rng: np.random.Generator) -> bytes:
    """A file that was cut, or of which some bytes are others; where digits are other digits it may well be read."""
    kind = rng.integers(3)
    if kind == 0:
        return whole[: rng.integers(len(whole))]
    data = np.frombuffer(whole, np.uint8).copy()
    among = np.arange(len(data)) if kind == 1 else np.flatnonzero((data >= ord("0")) & (data <= ord("9")))
    data[rng.choice(among, 3)] = rng.choice(list(b"\t\n -.09\\e\xff" if kind == 1 else b"0123456789"), 3)
    return data.tobytes()


def main() -> int:
    """Build and search; the exit status is that of the search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=300, help=f"at most {INPUTS} (default: 300)")
    parser.add_argument(
        "--with", dest="folder", type=Path, help="search in this process with the library that lies there"
    )
    arguments = parser.parse_args()
    if arguments.folder is not None:
        library._FOLDER = arguments.folder
        print(search(arguments.inputs))
        return 0
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(NATIVE, Path(name) / "native")
        try:
            build(Path(name))
            done = search_with(Path(name), arguments.inputs)
        except NoSanitizers as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(done.stdout + done.stderr, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
