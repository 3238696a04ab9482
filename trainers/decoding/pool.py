"""pyctcdecode in several processes, each with a language model of its own: for large sets, where cores are idle.

A task carries utterances and weights: a process that was given its weights once would go on searching with old ones.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import UserError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.language_model import LanguageModelFiles
from trainers.process import THREADS

_PARTS_A_WORKER = 8  # of a set: few enough to cost nothing, and enough that no worker waits long for the last


class DecoderPool:
    """What `BeamDecoder` finds, from several processes of one thread each.

    Use it as a context manager; the processes end with it, at once if it is left by an exception. Not for several
    threads at once.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: None searches without one.
        workers: How many processes; each loads the language model.
    """

    def __init__(self, alphabet: Alphabet, language_model: LanguageModelFiles | None, workers: int) -> None:
        for name, value in THREADS.items():
            os.environ.setdefault(name, value)
        context = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, SpawnProcess] = {}
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, alphabet, language_model), daemon=True)
            process.start()
            theirs.close()
            self._workers[ours] = process

    def __enter__(self) -> "DecoderPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel, process in self._workers.items():
            channel.close()
            if error is not None:
                process.terminate()
        for process in self._workers.values():
            process.join()

    def decode_set(self, posteriors: Posteriors, settings: DecodingSettings) -> list[Hypothesis]:
        """The best hypothesis of every utterance of a set."""
        return self.decode_points(posteriors, [settings])[0]

    def decode_points(self, posteriors: Posteriors, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """The best hypothesis of every utterance of a set, for each point; see `BeamDecoder.decode_points`.

        Raises:
            LanguageModelError: KenLM cannot load the file, or the labels cannot spell its words.
            UserError: A process was killed.
            ValueError: As for `BeamDecoder.decode`.
        """
        parts = self._run(posteriors, "decode_points", points)
        return [[one for part in parts for one in part[number]] for number in range(len(points))]

    def n_best_set(self, posteriors: Posteriors, settings: DecodingSettings, count: int) -> list[list[Hypothesis]]:
        """Different hypotheses of every utterance of a set, the best first; see `BeamDecoder.n_best`.

        Raises:
            LanguageModelError, UserError, ValueError: As for `decode_points`.
        """
        return [one for part in self._run(posteriors, "n_best_set", settings, count) for one in part]

    def _run(self, posteriors: Posteriors, method: str, *arguments: Any) -> list[Any]:
        """What a method of `BeamDecoder` gives for every part of a set, in the order of the set."""
        waiting: Iterator[tuple[int, Posteriors]]
        waiting = enumerate(_parts(posteriors, len(self._workers) * _PARTS_A_WORKER))
        idle, busy = list(self._workers), dict[Connection, int]()
        found: dict[int, Any] = {}
        while True:
            while idle and (task := next(waiting, None)) is not None:
                channel = idle.pop()
                busy[channel], part = task
                with contextlib.suppress(BrokenPipeError):  # a process that is gone is noticed when it should answer
                    channel.send((method, part, arguments))
            if not busy:
                break
            ready = wait(list(busy))
            for channel in [channel for channel in busy if channel in ready]:
                number = busy.pop(channel)
                found[number] = self._answer(channel)
                idle.append(channel)
                if isinstance(found[number], Exception):
                    # what is under way is still heard, or it would be taken for an answer to the next call
                    waiting = iter(())
        answers = [found[number] for number in sorted(found)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _answer(self, channel: Connection) -> Any:
        """A worker's answer, an exception being one."""
        try:
            return channel.recv()
        except (EOFError, ConnectionResetError):
            process = self._workers[channel]
            process.join()
            return UserError(
                f"a decoding process ended with status {process.exitcode}. Each of {len(self._workers)} holds the "
                "language model: with fewer workers there is more memory for each"
            )


def _parts(posteriors: Posteriors, count: int) -> Iterator[Posteriors]:
    """A set in at most so many parts, in its order."""
    size = -(-len(posteriors) // count) or 1
    for first in range(0, len(posteriors), size):
        yield posteriors.take(range(first, min(first + size, len(posteriors))))


def _work(channel: Connection, alphabet: Alphabet, language_model: LanguageModelFiles | None) -> None:
    """The life of a process: it ends when nobody holds the other end of its pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; whoever asked ends us
    with contextlib.suppress(EOFError, OSError), contextlib.ExitStack() as stack:
        decoder = None
        while True:
            method, part, arguments = channel.recv()
            try:
                if decoder is None:
                    decoder = stack.enter_context(BeamDecoder(alphabet, language_model))
                answer = getattr(decoder, method)(part, *arguments)
            except Exception as error:  # noqa: BLE001  # whoever asked has to hear of it, and decides
                answer = error
            channel.send(answer)
