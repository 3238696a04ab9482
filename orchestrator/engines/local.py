"""Each job in a process of its own on this machine.

A fork server that has torch loaded starts a process in milliseconds, and one that crashes or leaks takes nothing with
it. Every process computes on one thread: several workers that each ask for all cores are many times slower.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from orchestrator.engines.engine import Decoded, Died, Event, Failed, Finished, Job, Reported
from search_spaces.errors import UserError
from trainers.process import THREADS
from trainers.spec import DecodingReport, EpochReport, TrialOutcome, TrialSpec

_PRELOAD = ["trainers.pipeline", "trainers.strategies.baseline", "trainers.strategies.self_distillation"]


class LocalEngine:
    """Processes of this machine.

    Args:
        slots: How many processes run at once.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        for name, value in THREADS.items():
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many more jobs may run now."""
        return self._slots - len(self._workers)

    def start(self, job: Job) -> None:
        """Start a job."""
        ours, theirs = self._context.Pipe()
        lifeline, held = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(job, theirs, lifeline), daemon=True, name=job.trials[0])
        process.start()
        theirs.close()
        lifeline.close()
        self._workers.append(_Worker(process, ours, held, list(job.trials)))

    def events(self, timeout: float) -> list[Event]:
        """What the jobs said, or that they are gone."""
        if not self._workers:
            time.sleep(timeout)
        ready = wait([worker.channel for worker in self._workers], timeout)
        return [event for worker in list(self._workers) if worker.channel in ready for event in self._said_by(worker)]

    def _said_by(self, worker: "_Worker") -> list[Event]:
        """What a worker has said by now, up to an epoch: then it waits for an answer, and so do we before going on."""
        found: list[Event] = []
        try:
            while worker.left and worker.channel.poll():
                trial, message = worker.channel.recv()
                match message:
                    case EpochReport():
                        return [*found, Reported(trial, message)]
                    case DecodingReport():
                        found.append(Decoded(trial, message))
                    case TrialOutcome():
                        worker.left.remove(trial)
                        found.append(Finished(trial, message))
                    case str():
                        worker.left.remove(trial)
                        found.append(Failed(trial, message))
        except (EOFError, OSError):
            self._forget(worker)
            reason = worker.reason()
            found += [Died(trial, reason) for trial in worker.left]
            return found
        if not worker.left:
            self._forget(worker)
        return found

    def answer(self, trial: str, go_on: bool) -> None:
        """Tell a trial whether to go on; one that is gone meanwhile is noticed by `events`."""
        worker = next(worker for worker in self._workers if trial in worker.left)
        with contextlib.suppress(OSError):
            worker.channel.send(go_on)

    def stop(self) -> None:
        """End every job: politely, and after two seconds for good."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(2)
            if worker.process.is_alive():
                worker.process.kill()
        for worker in list(self._workers):
            self._forget(worker)

    def _forget(self, worker: "_Worker") -> None:
        self._workers.remove(worker)
        worker.channel.close()
        worker.process.join(5)
        worker.lifeline.close()


@dataclass
class _Worker:
    """A process that runs a job.

    Attributes:
        process: The process.
        channel: What it says, and what it is answered.
        lifeline: It ends itself when this end is closed.
        left: Those of its trials that have not ended.
    """

    process: ForkServerProcess
    channel: Connection
    lifeline: Connection
    left: list[str]

    def reason(self) -> str:
        """Why it is gone."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"


def _run(job: Job, channel: Connection, lifeline: Connection) -> None:
    """The life of a job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the runner ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    _log_to(job.logs / f"{job.specs[0].number}.log")
    from trainers.pipeline import run_trials
    from trainers.process import set_up
    from trainers.store import Store

    set_up()

    def report(spec: TrialSpec, epoch: EpochReport) -> bool:
        channel.send((spec.name, epoch))
        return bool(channel.recv())

    def tell(spec: TrialSpec, part: DecodingReport) -> None:
        channel.send((spec.name, part))

    def run(specs: Sequence[TrialSpec]) -> None:
        for spec, outcome in run_trials(specs, Store(job.store), report, tell):
            channel.send((spec.name, outcome))
            del left[spec.name]

    left = {spec.name: spec for spec in job.specs}
    if len(left) > 1:
        with contextlib.suppress(Exception):
            run(job.specs)
    # alone, or after one of several could not be run: each by itself, so that no other is lost with that one
    for name, spec in list(left.items()):
        try:
            _log_to(job.logs / f"{spec.number}.log")
            run([spec])
        except UserError as error:
            channel.send((name, str(error)))
        except Exception as error:  # noqa: BLE001  # what a trial dies of belongs to its record, not to the campaign
            traceback.print_exc()
            channel.send((name, f"{type(error).__name__}: {error}"))


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
