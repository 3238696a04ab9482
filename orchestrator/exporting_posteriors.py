"""The posteriors of a trial for other programs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.champion import champion_among
from orchestrator.home import Home
from orchestrator.planning import data_fingerprints, stored_spec
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.start import Start, place_of
from search_spaces.campaign import Campaign
from search_spaces.errors import StoreError, UserError
from trainers.artifacts import Posteriors
from trainers.data.labels import BLANK
from trainers.emission import load_posteriors
from trainers.exchange.given_posteriors import TOLD
from trainers.exchange.posterior_files import FORMS
from trainers.pipeline import resolve_settings
from trainers.source import Source, open_source
from trainers.spec import Ingredient, TrialOutcome
from trainers.store import Store, reason
from trainers.trial import Labelled, Trial


def find_trial(campaign: Campaign, studies: Sequence[StudyRecord], named: str | None, home: Home) -> TrialRecord:
    """The trial that a command line names.

    Args:
        campaign: The campaign.
        studies: What is stored of it.
        named: ``STUDY`` or ``STUDY#N``; None is the champion.
        home: Where the champion lies.

    Raises:
        UserError: There is no such trial, or it is not complete.
    """
    if not named:
        champion = champion_among(home, campaign.name, studies)
        if champion is None:
            raise UserError(f"campaign {campaign.name} has no champion; name a study: {campaign.name}/STUDY")
        named = f"{champion.study}#{champion.number}"
    study, mark, number = named.partition("#")
    if mark and not number.isdecimal():
        raise UserError(f"{named} is no trial; write {study}#N with its number")
    record = next((one for one in studies if one.name == study), None)
    trials = record.trials if record else ()
    found = record.result if record and not mark else next((t for t in trials if str(t.number) == number), None)
    if found is None or found.dev_wer is None or found.outcome is None:
        stored = ", ".join(record.name for record in studies) or "none"
        raise UserError(f"{campaign.name}/{named}: no such complete trial is stored; studies stored: {stored}")
    return found


def export_posteriors(
    campaign: Campaign, record: TrialRecord, splits: Sequence[Labelled], form: str, folder: Path, store: Store
) -> None:
    """Write the posteriors of a trial into a new folder, which is there whole or not at all.

    They are what its decoder started from, before temperature, prior and the like.

    Args:
        campaign: The campaign.
        record: A complete trial.
        splits: Of which splits.
        form: A name of `trainers.exchange.posterior_files.FORMS`.
        folder: Where to.
        store: Where artifacts are.

    Raises:
        UserError: The folder is there already, or the trial has no posteriors of a split.
        StoreError: The folder cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already; name a new folder with --into, or remove it")
    outcome = record.outcome
    assert outcome is not None  # the trial is complete
    source = _source(campaign, record, outcome, store)
    found = {split: _posteriors(record, outcome, source, split, store) for split in splits}
    about = _about(record, outcome, source, found)
    beside = folder.parent / f".{folder.name}.unfinished"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for split, posteriors in found.items():
            FORMS[form](beside, split, posteriors)
        (beside / TOLD).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {reason(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _source(campaign: Campaign, record: TrialRecord, outcome: TrialOutcome, store: Store) -> Source | None:
    """Where a trial's posteriors come from; None where they come from several systems."""
    key = outcome.checkpoint or outcome.imported
    if not key:
        return None
    # of the sets as they are now, whatever they were when it was run
    spec = replace(stored_spec(campaign, record, Start()), data=data_fingerprints(campaign))
    trial = Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True)
    return open_source(trial, Ingredient(record.study, place_of(store, key), key, record.number))


def _posteriors(
    record: TrialRecord, outcome: TrialOutcome, source: Source | None, split: Labelled, store: Store
) -> Posteriors:
    if source is not None:
        return source.posteriors(split)[1]
    if split == "dev" and outcome.posteriors and store.has("posteriors", outcome.posteriors):
        return load_posteriors(store.path("posteriors", outcome.posteriors))
    raise UserError(f"{record.name} is made of several systems; export the posteriors of {split} of each of them")


def _about(
    record: TrialRecord, outcome: TrialOutcome, source: Source | None, found: Mapping[Labelled, Posteriors]
) -> dict[str, Any]:
    """What posteriors are; `import-posteriors` reads units, kind and frame_seconds of it."""
    return {
        "campaign": record.campaign,
        "study": record.study,
        "trial": record.number,
        "key": source.key if source else record.key,
        "dev_wer": record.judged_wer,
        "decoder": outcome.decoder,
        "units": outcome.units,
        "kind": "log-probs",
        "logarithm": "natural",
        "labels": list(next(iter(found.values())).labels),
        "blank": BLANK,
        "frame_seconds": source.frame_seconds if source else None,
        "splits": {split: {"utterances": len(one), "frames": int(one.offsets[-1])} for split, one in found.items()},
    }
