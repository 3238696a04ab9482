"""What the set that compares can show and what it cannot."""

from collections.abc import Iterator

import pandas as pd

from orchestrator.leaderboard.comparison import LEVEL, Ground
from orchestrator.record import TrialRecord
from orchestrator.report.material import Material
from orchestrator.seed_noise import seed_noise
from trainers.scoring.power import detectable_difference, difference_error_of_counts


def power(material: Material, system: TrialRecord | None) -> list[str]:
    """Sentences on the differences that can be found.

    Args:
        material: What the report is made from.
        system: A system whose errors tell what to expect where none was compared; None where there is none.
    """
    return [*_compared(material), *_expected(material.table, system), *_noise(material)]


def _compared(material: Material) -> Iterator[str]:
    """By the set that systems were compared on."""
    rows = [row for row in material.table.to_dict("records") if not pd.isna(row["detectable"])]
    for ground in dict.fromkeys(row["compared_on"] for row in rows):
        ours = [row for row in rows if row["compared_on"] == ground]
        evidence = material.evidence[ours[0]["study"]]
        found = evidence.test if ground == Ground.TEST else evidence.dev
        assert found is not None  # something was compared on it
        told = ", ".join(f"{row['study']} {row['detectable']:.1f}" for row in ours)
        dev = "the part of dev that judges" if evidence.tuned_on else "dev"
        split = "test" if ground == Ground.TEST else dev
        yield (
            f"With {len(found.ids):,} utterances and {int(found.words.sum()):,} words, {split} finds a difference "
            f"from the baseline of so many points in 80 of 100 cases (two-sided, {100 * LEVEL:g} %, without Holm's "
            f"correction): {told}. A smaller one may be there and is missed more often: a tie is no equality."
        )


def _expected(table: pd.DataFrame, system: TrialRecord | None) -> Iterator[str]:
    """Before anything was compared: as if each word were wrong for itself, which is only about right."""
    if not table["detectable"].isna().all() or system is None or system.outcome is None:
        return
    score = system.outcome.judged
    if score is not None and score.errors:
        points = detectable_difference(difference_error_of_counts(score), LEVEL)
        yield (
            f"Nothing was compared. With the {score.words:,} words of dev and the errors of {system.study}, a "
            f"difference of about {points:.1f} points would be found in 80 of 100 cases, if words were wrong "
            "independently."
        )


def _noise(material: Material) -> Iterator[str]:
    for study in material.studies:
        noise = seed_noise(study)
        if noise is not None:
            yield f"{study.name}: {noise}."
