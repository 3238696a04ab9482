"""The language models of a run: made before its first trial, and held against the words they will meet."""

from collections import Counter
from collections.abc import Callable
from itertools import product

from orchestrator.planning import base_settings, used_sections
from orchestrator.start import schema_of
from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.campaign import Campaign, StudyDefinition
from search_spaces.errors import LanguageModelError
from search_spaces.space import Value
from trainers.data.manifest import read_manifest
from trainers.decoding.beam import load_ngrams
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.decoding.vocabulary import unknown_words
from trainers.store import Store


def language_models(campaign: Campaign, study: StudyDefinition) -> list[LanguageModelSettings]:
    """The language models that trials of a study may ask for, as far as its own axes tell; none if it uses none."""
    if "language_model" not in used_sections(schema_of(study)):
        return []
    axes = [axis for axis in study.space if axis.name.startswith("language_model.")]
    choices: list[list[Value | None]] = [[*(axis.range.grid() or []), *([None] if axis.when else [])] for axis in axes]
    found: dict[LanguageModelSettings, None] = {}
    for values in product(*choices):
        point = {axis.name: value for axis, value in zip(axes, values, strict=True) if value is not None}
        settings = base_settings(campaign, study, point).language_model
        if settings is not None:
            found[settings] = None
    return list(found)


def prepare_language_models(
    campaign: Campaign, study: StudyDefinition, store: Store, content: str, progress: Callable[[str, int, int], None]
) -> list[str]:
    """Make the language models of a study and check those that were brought along.

    Args:
        campaign: The campaign.
        study: One of its studies.
        store: Where they are kept.
        content: Fingerprint of the training set.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Returns:
        Warnings of training words that a model lacks.

    Raises:
        LanguageModelError: A model cannot be made, loaded, or has none of the words that are listed for it.
    """
    models = language_models(campaign, study)
    if not models:
        return []
    train = campaign.data.train
    wanted = Counter(word for utterance in read_manifest(train) for word in utterance.text.split())
    warnings = []
    for done, settings in enumerate(models):
        progress("language model", done, len(models))
        files = build_language_model(store, settings, train, content)
        warnings += [] if settings.own is None else _check_own(settings, files)
        name = f"the language model ({settings.title})"
        warnings.append(unknown_words(wanted, files.words, "the training transcripts", name))
    progress("language model", len(models), len(models))
    return [warning for warning in warnings if warning]


def _check_own(settings: LanguageModelSettings, files: LanguageModelFiles) -> list[str]:
    """Refuse a model that KenLM cannot load, or whose list of words is another model's; say how many are not its."""
    try:
        ngrams = load_ngrams(files.model)
    except LanguageModelError as error:
        raise LanguageModelError(f"{settings.own} cannot be loaded: {error.__cause__}") from error
    words = files.words
    known = [word for word in words if word in ngrams]
    if not known:
        raise LanguageModelError(f"{settings.own} has none of the words in {settings.words}: it is the list of another")
    if settings.words is None:
        return []
    return [unknown_words(Counter(words), known, str(settings.words), str(settings.own))]
