"""Each trial in a process of its own on this machine.

A fork server that has torch loaded starts a trial in milliseconds, and a trial that crashes or leaks takes nothing
with it. Every process computes on one thread: several workers that each ask for all cores are many times slower.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from orchestrator.engines.engine import Died, Event, Failed, Finished, Job, Reported
from search_spaces.errors import UserError
from trainers.process import THREADS
from trainers.spec import EpochReport, TrialOutcome

_PRELOAD = ["trainers.pipeline", "trainers.strategies.baseline", "trainers.strategies.self_distillation"]


class LocalEngine:
    """Processes of this machine.

    Args:
        slots: How many trials run at once.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        for name, value in THREADS.items():
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._jobs: dict[str, tuple[ForkServerProcess, Connection, Connection]] = {}

    def start(self, job: Job) -> None:
        """Start a job."""
        ours, theirs = self._context.Pipe()
        lifeline, held = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(job, theirs, lifeline), daemon=True, name=job.name)
        process.start()
        theirs.close()
        lifeline.close()
        self._jobs[job.name] = (process, ours, held)

    def events(self, timeout: float) -> list[Event]:
        """What the jobs said, or that they are gone."""
        if not self._jobs:
            time.sleep(timeout)
        ready = wait([channel for _, channel, _ in self._jobs.values()], timeout)
        found: list[Event] = []
        for name, (_, channel, _) in list(self._jobs.items()):
            if channel not in ready:
                continue
            try:
                message = channel.recv()
            except (EOFError, OSError):
                found.append(Died(name, self._reason(name)))
                continue
            match message:
                case EpochReport():
                    found.append(Reported(name, message))
                case TrialOutcome():
                    self._forget(name)
                    found.append(Finished(name, message))
                case str():
                    self._forget(name)
                    found.append(Failed(name, message))
        return found

    def answer(self, job: str, go_on: bool) -> None:
        """Tell a job whether to go on; a job that is gone meanwhile is noticed by `events`."""
        with contextlib.suppress(OSError):
            self._jobs[job][1].send(go_on)

    def stop(self) -> None:
        """End every job: politely, and after two seconds for good."""
        for process, _, _ in self._jobs.values():
            process.terminate()
        for process, _, _ in self._jobs.values():
            process.join(2)
            if process.is_alive():
                process.kill()
        for name in list(self._jobs):
            self._forget(name)

    def _forget(self, name: str) -> ForkServerProcess:
        process, channel, held = self._jobs.pop(name)
        channel.close()
        process.join(5)
        held.close()
        return process

    def _reason(self, name: str) -> str:
        code = self._forget(name).exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"


def _run(job: Job, channel: Connection, lifeline: Connection) -> None:
    """The life of a trial's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the runner ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    _log_to(job.log)
    from trainers.pipeline import run_trial
    from trainers.process import set_up
    from trainers.store import Store

    set_up()

    def report(epoch: EpochReport) -> bool:
        channel.send(epoch)
        return bool(channel.recv())

    try:
        channel.send(run_trial(job.spec, Store(job.store), report))
    except UserError as error:
        channel.send(str(error))
    except Exception as error:  # noqa: BLE001  # whatever a trial dies of belongs to its record, not to the campaign
        traceback.print_exc()
        channel.send(f"{type(error).__name__}: {error}")


def _die_with(lifeline: Connection) -> None:
    """End this process when the runner's end of the pipe closes: it died, and nobody is left to report to."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


def _log_to(path: Path) -> None:
    """Send everything that is printed, by Python or by a library, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
