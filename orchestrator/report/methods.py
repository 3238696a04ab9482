"""The methods paragraph: what was done, in sentences that can stand in a paper; what is not known is not said."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.leaderboard.comparison import LEVEL, Ground, Verdict
from orchestrator.record import TrialRecord, TrialState
from orchestrator.report.answer import name
from orchestrator.report.material import Material
from orchestrator.seed_noise import seed_noise
from trainers.artifacts import Utterance
from trainers.scoring.bootstrap import RESAMPLES

_LIBRARIES = {
    "torch": "PyTorch",
    "optuna": "Optuna",
    "mlflow": "MLflow",
    "pyctcdecode": "pyctcdecode",
    "kenlm": "KenLM",
}
_TITLES = {"train": "Training", "features": "Features"}
_UNSAID = ("seed", "method")  # said elsewhere
_OFF: tuple[Any, ...] = (None, "", "none", 0, False, (), [], {})
_SAMPLERS = {"tpe": "TPE", "gp": "a Gaussian process", "cmaes": "CMA-ES", "random": "random search", "grid": "a grid"}


def methods(material: Material, system: TrialRecord | None) -> list[str]:
    """Sentences on data, model, search, decoding, scoring and statistics.

    Args:
        material: What the report is made from.
        system: The trial that the sentences on model and decoding are about; None before one is complete.
    """
    said = list(_data(material))
    if system is not None and system.outcome is not None:
        said += [sentence for network in _networks(material, system) for sentence in _model(network)]
        said += [*_search(material), *_decoding(system), *_scoring(material, system)]
        said += [*_seeds(material), *_statistics(material.table), *_test(material), *_software(system)]
    return said


def _data(material: Material) -> Iterator[str]:
    sets = material.sets
    sizes = [
        f"{what} {_size(utterances)}"
        for what, utterances in (("the training set has", sets.train), ("the development set", sets.dev))
        if utterances
    ]
    if sets.test:
        sizes.append(f"the test set {_size(sets.test)}")
    if sizes:
        joined = ", ".join(sizes)
        yield f"{joined[0].upper()}{joined[1:]}."
    parted = next((one for one in material.evidence.values() if one.tuned_on and one.dev is not None), None)
    if parted is not None and parted.dev is not None:
        yield (
            f"{parted.tuned_on:,} utterances of the development set, drawn by a hash of their ids, made every choice "
            f"within a study; what is said of systems on the development set is of the other {len(parted.dev.ids):,}."
        )


def _size(utterances: Sequence[Utterance]) -> str:
    """Utterances, words where transcripts are known, and duration where all say theirs."""
    words = sum(len(utterance.text.split()) for utterance in utterances)
    durations = [utterance.duration for utterance in utterances if utterance.duration is not None]
    parts = [f"{words:,} words"] if words else []
    if len(durations) == len(utterances):
        hours = sum(durations) / 3600
        parts.append(f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min")
    return f"{len(utterances):,} utterances" + (f" ({', '.join(parts)})" if parts else "")


def _networks(material: Material, system: TrialRecord) -> Iterator[TrialRecord]:
    """The trials whose networks a system is made of: itself, or those that it takes posteriors or weights of."""
    if "model" in system.settings or (system.outcome is not None and system.outcome.imported):
        yield system
        return
    trials = {f"{trial.study}#{trial.number}": trial for study in material.studies for trial in study.trials}
    for source in dict.fromkeys(source for sources in system.needs.values() for source in sources):
        if source in trials:
            yield from _networks(material, trials[source])


def _model(network: TrialRecord) -> Iterator[str]:
    outcome = network.outcome
    if outcome is None:
        return
    who = f"{network.study}, trial {network.number}"
    if outcome.imported:
        yield f"The posteriors ({who}) are those of a network outside this program."
        return
    settings = {section: value for section, value in network.settings.items() if isinstance(value, Mapping)}
    units = f" over units of kind {outcome.units}" if outcome.units else ""
    described = _settings(settings.pop("model", {}))
    yield (
        f"The network ({who}; {described}; {outcome.weights:,} weights) was trained with connectionist temporal "
        f"classification{units}, strategy {network.strategy}."
    )
    for section, value in settings.items():
        if section not in ("decoding", "language_model") and _settings(value):
            yield f"{_TITLES.get(section, section)}: {_settings(value)}."


def _settings(section: Mapping[str, Any]) -> str:
    """Settings that say something, as name and value; what belongs to something that is off says nothing."""
    off = [f"{key}_" for key, value in section.items() if value in _OFF]
    off += [] if section.get("schedule") == "plateau" else ["plateau_"]
    shown = {
        key: value
        for key, value in section.items()
        if value not in _OFF and key not in _UNSAID and not key.startswith(tuple(off))
    }
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in shown.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value))
    return "yes" if value is True else str(value)


def _search(material: Material) -> Iterator[str]:
    told = []
    for study in material.studies:
        definition = material.campaign.studies.get(study.name)
        states = [trial.state for trial in study.searched]
        complete, pruned = states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED)
        count = f"{complete} and {pruned} stopped early" if pruned else f"{complete}"
        by = ""
        if definition is not None and len(definition.space):
            by = f" by {_SAMPLERS[definition.sampler.kind]} over {', '.join(definition.space.names)}"
        again = len(study.trials) - len(study.searched)
        confirmed = f", its best configurations confirmed by {again} trainings with fresh seeds" if again else ""
        told.append(f"{study.name} {count}{by}{confirmed}")
    yield f"Trials, the best of each study chosen on the development set: {'; '.join(told)}."


def _decoding(system: TrialRecord) -> Iterator[str]:
    outcome = system.outcome
    assert outcome is not None  # the caller has seen to it
    if outcome.decoder == "greedy":
        yield "Decoding is greedy: the best label of each frame, repeats and blanks removed."
        return
    settings = _settings(system.settings.get("decoding", {}))
    yield f"Decoding is a beam search ({outcome.decoder}; {settings}), its settings chosen on the development set."
    model = system.settings.get("language_model", {})
    own = model.get("arpa") or model.get("binary")
    if outcome.language_model and own:
        yield f"Its language model was made elsewhere ({Path(own).name})."
    elif outcome.language_model and model:
        written = model.get("text") or ()
        texts = ", ".join(Path(text).name for text in ([written] if isinstance(written, str) else written))
        source = texts or "the transcripts of the training set"
        yield (
            f"Its language model holds word n-grams up to order {model.get('order')} with modified Kneser-Ney "
            f"smoothing, estimated from {source}."
        )


def _scoring(material: Material, system: TrialRecord) -> Iterator[str]:
    outcome = system.outcome
    assert outcome is not None  # the caller has seen to it
    what = f"Word error rate is pooled over all reference words (scorer {outcome.scorer}"
    score = outcome.judged
    yield f"{what}, {score.words:,} words on the development set)." if score else f"{what})."


def _seeds(material: Material) -> Iterator[str]:
    found = {study.result.seed for study in material.studies if study.result is not None}
    known = sorted(seed for seed in found if seed is not None)
    if known:
        yield f"The systems compared were trained with seed{'s' * (len(known) > 1)} {', '.join(map(str, known))}."
    for study in material.studies:
        noise = seed_noise(study)
        if noise is not None:
            yield (
                f"Over {noise.replicates} seeds {study.name} has a mean of {noise.mean:.1f} % and a standard deviation "
                f"of {noise.sd:.1f} points on the development set."
            )


def _statistics(table: pd.DataFrame) -> Iterator[str]:
    rows = table.to_dict("records")
    if any(not pd.isna(row["dev_low"]) for row in rows):
        yield (
            f"Intervals are 95 % percentile intervals of {RESAMPLES:,} bootstrap resamples of utterances (Bisani and "
            "Ney, 2004)."
        )
    tested = [row for row in rows if not pd.isna(row["p"])]
    if not tested:
        return
    baseline = next(name(row) for row in rows if row["verdict"] == Verdict.BASELINE)
    baseline = "the baseline" if baseline == "baseline" else f"the baseline ({baseline})"
    yield (
        f"{len(tested)} system{'s are' if len(tested) > 1 else ' is'} compared with {baseline} by the "
        f"paired bootstrap over the same utterances; probabilities are corrected by Holm's (1979) procedure and held "
        f"against {LEVEL:g}."
    )
    if any(not pd.isna(row["p_matched_pairs"]) for row in tested):
        yield "The matched pairs test (MAPSSWE; Gillick and Cox, 1989) is reported beside it, uncorrected."
    if any(row["compared_on"] == Ground.DEV for row in tested):
        yield (
            "Differences on the development set, which chose both systems, are moved towards zero by what being the "
            "best of several trials is expected to have given each."
        )


def _test(material: Material) -> Iterator[str]:
    if not material.looks:
        if material.campaign.data.test is not None:
            yield "The test set has not been opened."
        return
    ours = [look for look in material.looks if look.submission.campaign == material.campaign.name]
    openings = max(look.opening for look in material.looks)
    again = [f"{look.submission.study} (look {look.number})" for look in ours if look.number > 1]
    later = f"; not the first of their strategy there were {', '.join(again)}" if again else ""
    yield (
        f"The test set was opened {openings} time{'s' * (openings > 1)} for {len(material.looks)} "
        f"system{'s' * (len(material.looks) > 1)}, {len(ours)} of them of this work{later}."
    )


def _software(system: TrialRecord) -> Iterator[str]:
    found = system.provenance
    versions = [f"{title} {found[key]}" for key, title in _LIBRARIES.items() if key in found]
    if "python" in found:
        versions.append(f"Python {found['python']}")
    if versions:
        ours = f"ctc-orchestrator {found['ctc_orchestrator']}" if "ctc_orchestrator" in found else "ctc-orchestrator"
        dirty = ", with changes" if found.get("dirty") == "yes" else ""
        commit = f" (commit {found['commit'][:12]}{dirty})" if "commit" in found else ""
        yield f"Software: {ours}{commit}, {', '.join(versions)}."
