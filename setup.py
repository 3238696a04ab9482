"""The compiled parts, which setup.cfg cannot describe. Where no C compiler is, installation goes on without them."""

from pathlib import Path
from zlib import crc32

from setuptools import Extension, setup


def compiled(package: str, name: str) -> Extension:
    """A shared library in a package, of the C sources in its folder ``native``."""
    folder = Path(*package.split("."), "native")
    checksum = crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
    return Extension(
        f"{package}.{name}",
        sources=[str(path) for path in sorted(folder.glob("*.c"))],
        depends=[str(path) for path in sorted(folder.glob("*.h"))],
        define_macros=[("CTC_SOURCES", f"{checksum}u")],
        # a contracted multiplication and addition rounds once where pyctcdecode and numpy round twice
        extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off"],
        optional=True,
    )


setup(ext_modules=[compiled("trainers.decoding", "_search"), compiled("trainers.combining", "_forward")])
