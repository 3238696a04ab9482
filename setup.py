"""The compiled search, which setup.cfg cannot describe. Where no C compiler is, the installation goes on without it."""

from pathlib import Path
from zlib import crc32

from setuptools import Extension, setup

FOLDER = Path("trainers/decoding/native")
CHECKSUM = crc32(b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]"))))

setup(
    ext_modules=[
        Extension(
            "trainers.decoding._search",
            sources=[str(path) for path in sorted(FOLDER.glob("*.c"))],
            depends=[str(path) for path in sorted(FOLDER.glob("*.h"))],
            define_macros=[("CTC_SOURCES", f"{CHECKSUM}u")],
            # a contracted multiplication and addition rounds once where pyctcdecode rounds twice
            extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off"],
            optional=True,
        )
    ]
)
