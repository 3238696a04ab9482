"""The surface that a study searched as files to look at: a picture and a table of all its points."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from orchestrator.record import StudyRecord
from orchestrator.start import schema_of
from orchestrator.surface import ErrorsOf, find_surface
from search_spaces.campaign import StudyDefinition

_DOTS = 200  # an inch


def surface_files(study: StudyDefinition, record: StudyRecord, errors_of: ErrorsOf) -> Callable[[Path], None] | None:
    """What writes the surface that a study searched; None before it has ended, and for studies of other kinds.

    Args:
        study: The study.
        record: Its trials.
        errors_of: Gives their errors.
    """
    if record.promoted is None or not schema_of(study).surface:
        return None
    return lambda folder: write_surface(folder, study, record, errors_of)


def write_surface(folder: Path, study: StudyDefinition, record: StudyRecord, errors_of: ErrorsOf) -> None:
    """Write ``surface.csv``, and ``surface.png`` and ``surface.pdf`` if an axis was varied that has a measure.

    Args:
        folder: Where to.
        study: The study.
        record: Its trials, at least one of them complete.
        errors_of: Gives their errors.
    """
    from orchestrator.surface_plot import draw_surface  # matplotlib takes most of a second

    surface = find_surface(study.space, record.trials, errors_of)
    assert surface is not None
    flat = {trial.number for trial in surface.flat}
    rows = []
    for trial in record.trials:
        if trial.dev_wer is None or trial.outcome is None or trial.outcome.score is None:
            continue
        loss = surface.loss.get(trial.number)
        rows.append(
            {
                "trial": trial.number,
                "dev_wer": round(trial.dev_wer, 2),
                "errors": trial.outcome.score.errors,
                "reference_words": trial.outcome.score.words,
                "difference": None if loss is None else round(loss.points, 2),
                "standard_error": None if loss is None else round(loss.error, 2),
                "within_noise": trial.number in flat,
                "lowest": trial.number == surface.best.number,
                "promoted": trial.promoted,
                "repeats": trial.repeats,
                "decoder": trial.outcome.decoder,
                **{f"needs.{name}": ", ".join(sources) for name, sources in trial.needs.items()},
                **trial.params,
            }
        )
    table = pd.DataFrame(rows).sort_values(["dev_wer", "trial"]).convert_dtypes()
    table.to_csv(folder / "surface.csv", index=False)
    score = surface.best.outcome.score if surface.best.outcome else None
    errors = errors_of(surface.best)
    utterances = "" if errors is None else f"{len(errors.ids)} utterances, "
    dev = "the part of dev that tunes" if surface.best.parted else "dev set"
    title = f"{record.campaign}/{record.name}: {dev}, {utterances}{score.words if score else 0} words"
    figure = draw_surface(study, record, surface, title)
    if figure is not None:
        for kind in ("png", "pdf"):
            figure.savefig(folder / f"surface.{kind}", dpi=_DOTS)
