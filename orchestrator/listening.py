"""What is said on standard error while a system listens: results alone go to standard output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trainers.system import System

_MANY = 8


@contextmanager
def listening(total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar for many recordings, on a terminal; it is called with those done and all of them.

    Args:
        total: How many recordings there are; None when that is not known yet.
    """
    console = Console(stderr=True)
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal or (total is not None and total < _MANY)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def say_unknown_rate(system: System) -> None:
    """Say that a model does not know the sampling rate that recordings should have, where that is so."""
    if any(one.features.kind == "logmel" and one.rate is None for one in system.networks):
        click.echo(
            "note: this model does not say at which sampling rate it was trained; recordings of another are misheard",
            err=True,
        )


def say_alone(alone: int, total: int) -> None:
    """Say how many recordings a system that normalises by speaker takes for speakers of their own."""
    if alone:
        which = "all" if alone == total else f"{alone} of {total}"
        click.echo(
            f"note: this model normalises by speaker, and {which} recordings name none: each is normalised for itself",
            err=True,
        )
