"""What a run shows: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.progress import seconds_left
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.tables import duration, percent
from trainers.spec import DecodingReport, EpochReport


def ending(trial: TrialRecord) -> str:
    """How a trial ended, in one line."""
    match trial.state:
        case TrialState.COMPLETE:
            took = f" in {duration(trial.outcome.seconds)}" if trial.outcome else ""
            return "; ".join((f"dev WER {percent(trial.dev_wer)}{took}", *_notes(trial)))
        case TrialState.PRUNED:
            return "; ".join(_notes(trial)) or f"stopped after epoch {max(trial.curve, default=0)}: losing"
        case TrialState.FAILED:
            return f"failed: {trial.error}"
        case _:
            return "interrupted; goes on with the next run"


def _notes(trial: TrialRecord) -> tuple[str, ...]:
    return trial.outcome.notes if trial.outcome else ()


class Lines:
    """Plain lines, for a log or a pipe.

    Args:
        campaign: Name of the campaign.
    """

    def __init__(self, campaign: str) -> None:
        self._campaign = campaign
        self._said: tuple[str, int] = ("", 0)
        self._decoded: dict[str, int] = {}

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Say every quarter of a step."""
        quarter = 4 * done // max(total, 1)
        if (what, quarter) != self._said and done:
            self._said = what, quarter
            self._say(f"{what}: {100 * done // total} %")

    def note(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Say it."""
        self._say(f"warning: {text}")

    def studies(self, studies: Sequence[StudyRecord]) -> None:
        """The lines of the trials say it."""

    def started(self, trial: TrialRecord) -> None:
        """Say which point."""
        again = f", confirms #{trial.confirms}" if trial.confirms is not None else ""
        self._say(f"{trial.study}#{trial.number} started{again}{': ' if trial.params else ''}{trial.point}")

    def epoch(self, trial: TrialRecord, report: EpochReport) -> None:
        """Say how it stands."""
        left = duration((report.epochs - report.epoch) * report.seconds)
        self._say(
            f"{trial.study}#{trial.number} epoch {report.epoch}/{report.epochs}: dev WER {percent(report.dev_wer)}, "
            f"loss {report.loss:.2f}, {left} left"
        )

    def decoded(self, trial: TrialRecord, report: DecodingReport) -> None:
        """Say every quarter of a set."""
        quarter = 4 * report.decoded // report.utterances
        if quarter > self._decoded.get(trial.name, 0):
            self._decoded[trial.name] = quarter
            left = duration((report.utterances - report.decoded) * report.seconds)
            self._say(
                f"{trial.study}#{trial.number} decoded {report.decoded} of {report.utterances} utterances, {left} left"
            )

    def ended(self, trial: TrialRecord) -> None:
        """Say how it ended."""
        self._decoded.pop(trial.name, None)
        self._say(f"{trial.study}#{trial.number} {ending(trial)}")

    def promoted(self, trial: TrialRecord, where: str) -> None:
        """Say it."""
        what = "the champion of the campaign" if where == "champion" else "promoted for its study"
        judged = f", {percent(trial.judged_wer)} on the part of dev that judges" if trial.parted else ""
        self._say(f"{trial.study}#{trial.number} is {what}: dev WER {percent(trial.dev_wer)}{judged}")


class Screen(Lines):
    """A live table: the studies with their budgets, below them the running trials."""

    def __init__(self, campaign: str) -> None:
        super().__init__(campaign)
        self._console = Console()
        self._began = time.monotonic()
        self._step: tuple[str, int, int] | None = None
        self._studies: Sequence[StudyRecord] = ()
        self._running: dict[str, tuple[TrialRecord, EpochReport | DecodingReport | None, float]] = {}
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._render)

    def __enter__(self) -> "Screen":
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the table as it stands."""
        self._running.clear()
        self._live.__exit__(kind, error, trace)

    def _say(self, text: str) -> None:
        self._console.print(Text(text), highlight=False)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show a bar."""
        self._step = None if done >= total else (what, done, total)

    def warn(self, text: str) -> None:
        """Print it above the table."""
        self._console.print(Text(f"warning: {text}", style="yellow"))

    def studies(self, studies: Sequence[StudyRecord]) -> None:
        """Take the numbers in."""
        self._studies = studies

    def started(self, trial: TrialRecord) -> None:
        """Add a row."""
        self._running[trial.name] = trial, None, time.monotonic()

    def epoch(self, trial: TrialRecord, report: EpochReport) -> None:
        """Move a row's bar."""
        self._running[trial.name] = trial, report, time.monotonic()

    def decoded(self, trial: TrialRecord, report: DecodingReport) -> None:
        """Move a row's bar."""
        self._running[trial.name] = trial, report, time.monotonic()

    def ended(self, trial: TrialRecord) -> None:
        """Take the row away; say what went wrong, if something did."""
        self._running.pop(trial.name, None)
        if trial.state is TrialState.FAILED:
            self.warn(f"{trial.study}#{trial.number} {ending(trial)}")

    def _render(self) -> Group:
        parts: list[Table | Text] = [self._heading()]
        if self._step:
            what, done, total = self._step
            row = Table.grid(padding=(0, 1))
            row.add_row(what, ProgressBar(total, done, width=30), f"{done}/{total}")
            parts.append(row)
        if self._studies:
            parts.append(self._table_of_studies())
        if self._running:
            parts.append(self._table_of_trials())
        return Group(*parts)

    def _heading(self) -> Text:
        text = Text(f"{self._campaign}  ", style="bold")
        text.append(f"{duration(time.monotonic() - self._began)}  ", style="dim")
        best = min((b for b in (s.best for s in self._studies) if b), key=lambda b: b.dev_wer or 0, default=None)
        if best is not None:
            text.append(f"best so far {percent(best.dev_wer)} ({best.study}#{best.number})", style="green")
        return text

    def _table_of_studies(self) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for name in ("study", "", "trials", "best dev WER", "time left"):
            table.add_column(name, justify="left" if name in ("study", "") else "right", no_wrap=True)
        for study in self._studies:
            budget = max(study.budget, study.finished)
            bar = ProgressBar(max(budget, 1), study.finished, width=24)
            best = percent(study.best.dev_wer if study.best else None)
            left = seconds_left(study, budget)
            table.add_row(study.name, bar, f"{study.finished}/{budget}", best, duration(left) if left else "")
        return table

    def _table_of_trials(self) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for name in ("running", "", "done", "dev WER", "time left"):
            table.add_column(name, justify="left" if name in ("running", "") else "right", no_wrap=True)
        for trial, report, since in self._running.values():
            elapsed = time.monotonic() - since
            name = f"{trial.study}#{trial.number}"
            if report is None:
                table.add_row(name, ProgressBar(1, 0, width=24, pulse=True), "", "", "")
                continue
            done, whole, wer = _how_far(report)
            left = max((whole - done) * report.seconds - elapsed, 0)
            within = min(elapsed / max(report.seconds, 0.1), 1)
            bar = ProgressBar(whole, min(done + within, whole), width=24)
            table.add_row(name, bar, f"{done}/{whole}", percent(wer), duration(left))
        return table


def _how_far(report: EpochReport | DecodingReport) -> tuple[int, int, float | None]:
    """Epochs or utterances that are done, all of them, and the WER if there is one."""
    if isinstance(report, EpochReport):
        return report.epoch, report.epochs, report.dev_wer
    return report.decoded, report.utterances, None
