"""Campaigns that run in this process or from the shell: where, who watches them, and which processes they have."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from orchestrator.engines.local import LocalEngine
from orchestrator.observer import Observer
from orchestrator.runner import Runner

COMMAND = Path(sys.executable).with_name("orchestrator")


class Notes:
    """An observer that remembers."""

    def __init__(self):
        self.events = []
        self.on_epoch = lambda trial, report: None

    def __getattr__(self, name):
        assert hasattr(Observer, name)
        return lambda *args: self.events.append((name, *args))

    def epoch(self, trial, report):
        self.events.append(("epoch", trial, report))
        self.on_epoch(trial, report)

    def of(self, name):
        return [event[1:] for event in self.events if event[0] == name]


def run(campaign, home, names=None, observer=None, workers=2, **options):
    observer = observer or Notes()
    names = names or list(campaign.studies)
    return Runner(campaign, names, home, LocalEngine(workers), observer, **options).run(), observer


def shell(*words):
    """The command line in a process of its own."""
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)


def processes():
    """What was started by this process and is there, without the tracker of its resources."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            tracker = "resource_tracker" in " ".join(process.cmdline())
        except psutil.ZombieProcess:
            tracker = False
        except psutil.NoSuchProcess:  # it ended since it was listed
            continue
        if not tracker:
            found.append(process)
    return found


@contextmanager
def working_in(folder):
    """Meanwhile a folder is the working folder, and the home lies in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHESTRATOR_HOME", str(folder / "mlruns"))
        patch.chdir(folder)
        yield
