"""Confirming: once its search has ended, a study trains its best configurations again with fresh seeds.

The trials that do so repeat points of the search with another ``train.seed``. They are trials like any, but no part of
the search: they do not count in its budget, its sampler does not see them, and none is stopped for losing.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestrator.confirmed import Confirmed, alike, by_configuration, configuration_of
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.sampling import Point
from orchestrator.start import schema_of
from search_spaces.campaign import Campaign, ConfirmSettings, StudyDefinition
from search_spaces.errors import UserError
from search_spaces.replicates import SEED, UNCONFIRMED, can_be_confirmed, fresh_seed
from search_spaces.space import Space

_SHARE = 5  # confirming unasked adds one trial to so many at most


def how_confirmed(study: StudyDefinition, record: StudyRecord, budget: int) -> ConfirmSettings:
    """How a study is confirmed: as the campaign says, as it was before, or unasked where that costs little.

    Args:
        study: The study.
        record: What is stored of it.
        budget: Trials that its search may have.
    """
    if study.confirm is not None:
        return study.confirm
    if record.confirm.get("top"):
        return ConfirmSettings(**record.confirm)
    unasked = ConfirmSettings()
    cheap = _SHARE * unasked.top * unasked.seeds <= budget
    return unasked if cheap and can_be_confirmed(schema_of(study)) else UNCONFIRMED


def confirming(campaign: Campaign, names: Collection[str], settings: ConfirmSettings) -> Campaign:
    """A campaign that confirms studies in this way, instead of what its file says.

    Args:
        campaign: The campaign.
        names: Of the studies; none for all that can be confirmed.
        settings: How.

    Raises:
        UserError: One of them cannot be confirmed.
    """
    studies = dict(campaign.studies)
    for name in names or studies:
        if can_be_confirmed(schema_of(studies[name])):
            studies[name] = replace(studies[name], confirm=settings)
        elif names:
            valid = ", ".join(other for other, study in studies.items() if can_be_confirmed(schema_of(study)))
            raise UserError(
                f"fresh seeds confirm what is trained, and study {name} trains nothing or has replicates already; "
                f"those that can be confirmed: {valid or 'none'}"
            )
    return replace(campaign, studies=studies)


def points_to_confirm(record: StudyRecord, settings: ConfirmSettings) -> list[Point]:
    """What is still to be trained once the search has ended, configuration after configuration, the best first.

    Args:
        record: The study.
        settings: How it is confirmed.
    """
    points: list[Point] = []
    if not settings.top:
        return points
    found: dict[str, list[TrialRecord]] = {}
    for trial in record.trials:
        found.setdefault(configuration_of(record.origin(trial)), []).append(trial)
    for configuration, best in list(by_configuration(record.searched).items())[: settings.top]:
        again = [trial for trial in found[configuration] if trial.confirms is not None]
        used = {trial.seed for trial in found[configuration]} | {trial.overrides[SEED] for trial in again}
        point = {name: value for name, value in best.params.items() if name not in best.overrides}
        for number in range(settings.seeds - len(again)):
            points.append(Point(point, {**best.overrides, SEED: fresh_seed(number, used)}, best.number))
    return points


def confirmations_of(record: StudyRecord, space: Space, settings: ConfirmSettings, budget: int) -> int:
    """How many trials confirm, there already or to come; at most so many before the search has ended.

    Args:
        record: The study.
        space: What it searches.
        settings: How it is confirmed.
        budget: Trials that its search may have.
    """
    searched = record.searched
    there = len(record.trials) - len(searched)
    if len(searched) >= budget and all(trial.state.finished for trial in searched):
        return there + len(points_to_confirm(record, settings))
    sizes = [len(axis.range.grid() or ()) or math.inf for axis in space if axis.name != SEED]
    return max(there, int(min(settings.top, budget, math.prod(sizes))) * settings.seeds)


def verdict(ranked: Sequence[Confirmed]) -> str:
    """What the confirmations of a study came to, in a sentence.

    Args:
        ranked: The configurations, the lowest mean first; one at least.
    """
    first = ranked[0]
    among = f"the lowest mean of {len(ranked)} configurations" if len(ranked) > 1 else "the one configuration"
    said = (
        f"#{first.origin.number} is confirmed with {first.mean:.1f} ± {math.sqrt(first.variance):.1f} % over "
        f"{len(first.trials)} fresh seeds, {among} ({first.origin.dev_wer:.1f} % in the search)"
    )
    ties = ", ".join(f"#{one.origin.number} ({one.mean:.1f} %)" for one in alike(ranked))
    if ties:
        said += f"; within seed noise of it: {ties}"
    said += f"; #{first.typical.number} is promoted, the run nearest to the mean"
    if first.lowest is not first.typical:
        said += f", and not the lowest, #{first.lowest.number} ({first.lowest.dev_wer:.1f} %)"
    return said
