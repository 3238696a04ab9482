"""Everything that can be found wrong before a trial starts, and the features that all trials share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.language_models import prepare_language_models
from orchestrator.overlap import check_test_set
from orchestrator.parting import parts_of_dev
from orchestrator.planning import base_settings, data_fingerprints, model_points, replicated_study
from orchestrator.start import outside_ingredient, schema_of
from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings
from search_spaces.campaign import Campaign, study_of
from search_spaces.errors import UserError
from trainers.data.batches import make_batch
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.data.sets import UtteranceSet, encode_targets, load_set, unseen_words
from trainers.model.build import build_network
from trainers.model.contract import check_contract
from trainers.model.own import OwnNetwork
from trainers.scoring.notation import check_notation
from trainers.scoring.scorer import find_scorer
from trainers.store import Store

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run knows of its data.

    Attributes:
        data: Fingerprints of the files that results depend on, by name.
        warnings: What the user should know.
        parts: How dev is parted, in a sentence; empty where it is not.
    """

    data: dict[str, str]
    warnings: tuple[str, ...]
    parts: str


def prepare(campaign: Campaign, names: Iterable[str], store: Store, progress: Progress) -> Prepared:
    """Read and check the data, compute its features, make the language models.

    Args:
        campaign: The campaign.
        names: The studies that will run.
        store: Where features and language models are kept.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Raises:
        UserError: Something does not fit; nothing has been started.
    """
    data, parts = data_fingerprints(campaign), parts_of_dev(campaign)
    loaded: dict[FeatureSettings, list[UtteranceSet]] = {}
    said = ((utterance.line, utterance.text) for utterance in read_manifest(campaign.data.dev))
    warnings = check_notation(campaign.data.dev, said, find_scorer(campaign.scorer)) + check_test_set(campaign)
    trained = dict.fromkeys(replicated_study(campaign, campaign.studies[name]).name for name in names)
    for study in (campaign.studies[name] for name in trained):
        for source in (source for sources in study.needs.values() for source in sources):
            if study_of(source) not in campaign.studies:
                outside_ingredient(source, store)
        schema, settings = schema_of(study), base_settings(campaign, study)
        if schema.trains:
            if settings.features not in loaded:
                loaded[settings.features] = [
                    load_set(store, manifest, settings.features, _part(progress, f"features of {name}"), data[name])
                    for name, manifest in (("train", campaign.data.train), ("dev", campaign.data.dev))
                ]
            warnings += _check_sets(settings, *loaded[settings.features])
            for point in model_points(campaign, study):
                warnings += _check_network(base_settings(campaign, study, point), loaded[settings.features][0])
        warnings += prepare_language_models(campaign, study, store, data["train"], progress)
    return Prepared(data, tuple(dict.fromkeys(warnings)), parts)


def _check_sets(settings: Settings, train: UtteranceSet, dev: UtteranceSet) -> list[str]:
    """Refuse sets that cannot be trained on; say which words of dev cannot be recognised."""
    if train.features.dimensions != dev.features.dimensions:
        raise UserError(
            f"{train.manifest} has features of {train.features.dimensions} dimensions, "
            f"{dev.manifest} of {dev.features.dimensions}"
        )
    if train.features.rate != dev.features.rate:
        raise UserError(
            f"the recordings of {train.manifest} have {train.features.rate} Hz, those of {dev.manifest} "
            f"{dev.features.rate} Hz; resample one of the sets"
        )
    alphabet = Alphabet.of(settings.units, train.references)
    unseen = unseen_words(dev, alphabet)
    if not unseen:
        return []
    shown = ", ".join(f"{word} ({count})" for word, count in unseen.most_common(10))
    more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
    return [
        f"{unseen.total()} words of dev cannot be written in the labels of train (units: {settings.units}) and "
        f"count as errors: {shown}{more}"
    ]


def _check_network(settings: Settings, train: UtteranceSet) -> list[str]:
    """Refuse a network that leaves too few frames, or a module that is no network; say whether it reads padding."""
    alphabet = Alphabet.of(settings.units, train.references)
    network = build_network(settings.model, train.features.dimensions, len(alphabet))
    warnings = []
    if isinstance(network, OwnNetwork):
        order = train.features.lengths.argsort()
        batch = make_batch(train.features, order[[0, len(order) // 2, -1]])
        warnings = check_contract(network, batch.features, batch.lengths)
    encode_targets(train, alphabet, network.output_lengths, drop=settings.train.infeasible == "drop")
    return warnings


def _part(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
