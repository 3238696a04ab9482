"""Everything that can be found wrong before a trial starts, and the features that all trials share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.planning import base_settings, data_fingerprints, outside_ingredient, schema_of
from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from trainers.data.labels import Alphabet
from trainers.data.sets import UtteranceSet, encode_targets, load_set, unseen_words
from trainers.decoding.language_model import build_language_model
from trainers.model.network import Network
from trainers.store import Store

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run knows of its data.

    Attributes:
        data: Fingerprints of the files that results depend on, by name.
        warnings: What the user should know.
    """

    data: dict[str, str]
    warnings: tuple[str, ...]


def prepare(campaign: Campaign, names: Iterable[str], store: Store, progress: Progress) -> Prepared:
    """Read and check the data, compute its features, estimate the language model.

    Args:
        campaign: The campaign.
        names: The studies that will run.
        store: Where features and language models are kept.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Raises:
        UserError: Something does not fit; nothing has been started.
    """
    data = data_fingerprints(campaign)
    loaded: dict[FeatureSettings, list[UtteranceSet]] = {}
    warnings: list[str] = []
    for study in (campaign.studies[name] for name in names):
        for source in (source for sources in study.needs.values() for source in sources):
            if source not in campaign.studies:
                outside_ingredient(source)
        schema, settings = schema_of(study), base_settings(campaign, study)
        if schema.trains:
            if settings.features not in loaded:
                loaded[settings.features] = [
                    load_set(store, manifest, settings.features, _part(progress, f"features of {name}"), data[name])
                    for name, manifest in (("train", campaign.data.train), ("dev", campaign.data.dev))
                ]
            warnings += _check_sets(settings, *loaded[settings.features])
        elif settings.language_model is not None and "language_model" in schema.axes:
            progress("language model", 0, 1)
            build_language_model(store, settings.language_model)
            progress("language model", 1, 1)
    return Prepared(data, tuple(dict.fromkeys(warnings)))


def _check_sets(settings: Settings, train: UtteranceSet, dev: UtteranceSet) -> list[str]:
    """Refuse sets that cannot be trained on; say which words of dev cannot be recognised."""
    if train.features.dimensions != dev.features.dimensions:
        raise UserError(
            f"{train.manifest} has features of {train.features.dimensions} dimensions, "
            f"{dev.manifest} of {dev.features.dimensions}"
        )
    alphabet = Alphabet.of(settings.units, train.references)
    drop = settings.train.infeasible == "drop"
    encode_targets(train, alphabet, Network(settings.model, 1, 2).output_lengths, drop=drop)
    unseen = unseen_words(dev, alphabet)
    if not unseen:
        return []
    shown = ", ".join(f"{word} ({count})" for word, count in unseen.most_common(10))
    more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
    return [
        f"{unseen.total()} words of dev cannot be written in the labels of train (units: {settings.units}) and "
        f"count as errors: {shown}{more}"
    ]


def _part(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
