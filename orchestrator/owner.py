"""Who runs a trial, and whether they still live."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

LEASE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that runs trials.

    Attributes:
        host: Name of the machine.
        boot: Id of the machine's boot: a process of an earlier boot is dead.
        pid: Process id.
        started: When the process started, seconds since the epoch: a process id is used again.
        expires: Until when the owner is taken to live if it cannot be asked, seconds since the epoch.
    """

    host: str
    boot: str
    pid: int
    started: float
    expires: float

    @classmethod
    def me(cls, now: float | None = None) -> "Owner":
        """This process, with a fresh lease."""
        started = psutil.Process().create_time()
        now = time.time() if now is None else now
        return cls(socket.gethostname(), _boot(), os.getpid(), started, now + LEASE_SECONDS)

    def alive(self, now: float) -> bool:
        """Whether the owner still lives; on another machine, whether its lease still runs.

        Args:
            now: Seconds since the epoch.
        """
        if self.host != socket.gethostname():
            return now < self.expires
        if self.boot != _boot():
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
