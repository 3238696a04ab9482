"""How a process that trains is set up."""

import contextlib
import ctypes

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of such a process, to be set before torch is imported: several workers that each ask for all cores are
many times slower than one thread each."""


def set_up() -> None:
    """Compute on one thread, and keep freed memory."""
    import torch

    torch.set_num_threads(1)
    _keep_heap()


def _keep_heap() -> None:
    """Keep freed memory in the process: a training step frees and takes the same megabytes over and over.

    With glibc's defaults they go back to the system each time, and the page faults cost 7 % of a convolutional and 15 %
    of a recurrent step (`benchmarks/encoder.py`). Other C libraries are left alone.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((-3, 1 << 30), (-1, 1 << 30), (-2, 64 << 20)):  # mmap and trim thresholds, top pad
            libc.mallopt(option, value)
