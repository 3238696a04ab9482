"""Everything that can be found wrong before a trial starts, and the features that all trials share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.planning import base_settings, data_fingerprints, outside_ingredient, schema_of
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
    studies = [campaign.studies[name] for name in names]
    data = data_fingerprints(campaign)
    warnings: dict[str, None] = {}
    sets: dict[str, tuple[UtteranceSet, UtteranceSet]] = {}
    for study in studies:
        for sources in study.needs.values():
            for source in sources:
                if source not in campaign.studies:
                    outside_ingredient(source)
        if not schema_of(study).trains:
            continue
        settings = base_settings(campaign, study)
        key = settings.features.model_dump_json()
        if key not in sets:
            splits = {"train": campaign.data.train, "dev": campaign.data.dev}
            train, dev = (
                load_set(store, manifest, settings.features, _part(progress, f"features of {name}"), data[name])
                for name, manifest in splits.items()
            )
            sets[key] = train, dev
        train, dev = sets[key]
        if train.features.dimensions != dev.features.dimensions:
            raise UserError(
                f"{campaign.data.train} has features of {train.features.dimensions} dimensions, "
                f"{campaign.data.dev} of {dev.features.dimensions}"
            )
        alphabet = Alphabet.of(settings.units, train.references)
        encode_targets(train, alphabet, Network(settings.model, 1, 2).output_lengths)
        unseen = unseen_words(dev, alphabet)
        if unseen:
            shown = ", ".join(f"{word} ({count})" for word, count in unseen.most_common(10))
            more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
            warnings[
                f"{unseen.total()} words of dev cannot be written in the labels of train (units: {settings.units}) and "
                f"count as errors: {shown}{more}"
            ] = None
    if any("language_model" in schema_of(study).axes for study in studies):
        for study in studies:
            model = base_settings(campaign, study).language_model
            if model is not None and "language_model" in schema_of(study).axes:
                progress("language model", 0, 1)
                build_language_model(store, model)
                progress("language model", 1, 1)
    return Prepared(data, tuple(warnings))


def _part(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
