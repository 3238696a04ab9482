"""Calls of MLflow that nothing fails with: when it cannot be reached, they answer what is known without it."""

import functools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from orchestrator.tracking.quiet_mlflow import FAILURES, first_line

_log = logging.getLogger(__name__)

_SLOW = 2.0  # seconds; a failure that took as long is a server that does not answer
_REST = 60.0  # seconds without a call to such a server

_Args = ParamSpec("_Args")
_Answer = TypeVar("_Answer")
_Owner = TypeVar("_Owner", bound="Harmless")


class Harmless(ABC):
    """Who calls MLflow, and goes on without it: what could not be written is to be made up for later.

    Attributes:
        behind: Whether something could not be written.
    """

    def __init__(self) -> None:
        self.behind = False
        self._warned = False
        self._resting = 0.0

    @property
    def resting(self) -> bool:
        """Whether a server did not answer a moment ago, and is left alone for a while."""
        return time.monotonic() < self._resting

    @abstractmethod
    def forget(self) -> None:
        """Ask MLflow again for what was known of it."""

    def start_afresh(self) -> None:
        """Try again, whatever failed before: all is about to be written."""
        self.behind = False
        self._resting = 0.0

    def fell_behind(self, error: Exception, seconds: float) -> None:
        """Note that something could not be written, and say so once.

        Args:
            error: Why.
            seconds: How long it took to fail.
        """
        self.behind = True
        self.forget()
        if seconds > _SLOW:
            self._resting = time.monotonic() + _REST
        if not self._warned:
            self._warned = True
            _log.warning(
                "MLflow could not be written: %s; the work goes on, and a sync will make up for it", first_line(error)
            )


def harmless(
    known: Callable[..., Any],
) -> Callable[[Callable[Concatenate[_Owner, _Args], _Answer]], Callable[Concatenate[_Owner, _Args], _Answer]]:
    """Let a method answer what is known when MLflow fails, and say so in `Harmless.behind`.

    Args:
        known: Gives that answer, from the arguments of the method.
    """

    def wrap(
        method: Callable[Concatenate[_Owner, _Args], _Answer],
    ) -> Callable[Concatenate[_Owner, _Args], _Answer]:
        @functools.wraps(method)
        def call(self: _Owner, /, *args: _Args.args, **kwargs: _Args.kwargs) -> _Answer:
            if self.resting:
                self.behind = True
                return cast(_Answer, known(self, *args, **kwargs))
            began = time.monotonic()
            try:
                return method(self, *args, **kwargs)
            except FAILURES as error:
                self.fell_behind(error, time.monotonic() - began)
                return cast(_Answer, known(self, *args, **kwargs))

        return call

    return wrap
