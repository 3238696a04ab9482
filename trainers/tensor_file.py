"""Tensors on disk: a file is the old one or the new one, whole, whenever the process or the machine dies."""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from search_spaces.errors import StoreError
from trainers.store import reason


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors, from whatever device, and texts beside them.

    Raises:
        StoreError: The file cannot be written; the old one, if any, is untouched.
    """
    beside = path.with_name(f".{path.name}")
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, beside, dict(metadata) if metadata else None)
        with beside.open("rb") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before what it renames
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(f"cannot write {path}: {_reason(error)}") from error


def _reason(error: OSError | SafetensorError) -> str:
    """The operating system's reason, of which safetensors passes on the number in a text."""
    number = re.search(r"os error (\d+)", str(error))
    if isinstance(error, SafetensorError) and number:
        error = OSError(int(number[1]), os.strerror(int(number[1])))
    return reason(error) if isinstance(error, OSError) else str(error)
