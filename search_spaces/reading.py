"""From a YAML file to a `Campaign`: everything is checked, and all mistakes are reported at once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search_spaces.axes.decoding import FILE_SETTINGS
from search_spaces.axes.settings import Settings, overlay
from search_spaces.campaign import (
    CAMPAIGN_NAME,
    Campaign,
    DataFiles,
    KeepSettings,
    PromotionSettings,
    StudyDefinition,
)
from search_spaces.checking import Checker, fields_at, find_file, plain_message, unknown_name
from search_spaces.errors import CampaignError, Mistake, ScoringError
from search_spaces.replicates import read_confirm
from search_spaces.schema import Catalogue
from search_spaces.scorers import DEFAULT, parse_scorer
from search_spaces.sealing import SealedFile
from search_spaces.source import Place, read_source
from search_spaces.study_reading import read_study

_KEYS = ("campaign", "data", "scorer", "baseline", "promotion", "keep", "confirm", "studies")


def read_campaign(path: Path, catalogue: Catalogue | None = None, changes: Mapping[str, Any] | None = None) -> Campaign:
    """Read and check a campaign file.

    Args:
        path: The YAML file.
        catalogue: The strategies there are. Without it the names of strategies and settings are taken as they are
            written: enough to list studies, not enough to run them.
        changes: Values by dotted name that take the place of those in the file.

    Raises:
        CampaignError: With every mistake in the file, each with its line.
    """
    source = read_source(path)
    if changes and isinstance(source.data, dict):
        source = replace(source, data=overlay(source.data, changes))
    check = Checker(source, catalogue)
    if not isinstance(source.data, dict):
        raise CampaignError(path, [Mistake(1, "", f"a campaign is a mapping with the keys {', '.join(_KEYS)}")])
    root = source.data
    name = _read_name(check, root)
    data = _read_data(check, root.get("data"))
    settings = _read_settings(check, root)
    studies = _read_studies(check, root, settings)
    baseline = root.get("baseline")
    written = root["studies"] if isinstance(root.get("studies"), dict) else {}
    if baseline is not None and baseline not in written:
        check.add(("baseline",), unknown_name("study", str(baseline), written))
    promotion = _read_promotion(check, root.get("promotion", {}))
    scorer = _read_scorer(check, root.get("scorer", DEFAULT))
    if check.mistakes or data is None:
        raise CampaignError(path, check.mistakes)
    return Campaign(name, path, data, settings, studies, baseline, promotion, scorer, changes or {})


def _read_name(check: Checker, root: Mapping[str, Any]) -> str:
    name = root.get("campaign")
    if not isinstance(name, str) or not re.match(CAMPAIGN_NAME, name):
        check.add(("campaign",), f"needs a name of letters, digits, _ and -, a letter first; got {name!r}")
        return ""
    if name != check.source.path.stem:
        check.add(
            ("campaign",),
            f"is {name!r} but the file is {check.source.path.name}; results are stored under this name, "
            "so file and campaign carry the same",
        )
    return name


def _read_data(check: Checker, data: Any) -> DataFiles | None:
    if not isinstance(data, dict):
        check.add(("data",), "needs the manifests: {train: FILE, dev: FILE, test: FILE}")
        return None
    valid = ("train", "dev", "test", "tuning", "obtain")
    for key in data:
        if key not in valid:
            check.unknown(("data", key), "key", valid)
    hint = data.get("obtain", "")
    if not isinstance(hint, str):
        check.add(("data", "obtain"), f"says in words how the files are come by; got {hint!r}")
        hint = ""
    files: dict[str, Path | None] = {}
    for key in ("train", "dev"):
        if key in data:
            files[key] = find_file(check, ("data", key), data[key], folders=True, hint=hint)
            hint = hint if files[key] else ""  # said once
        else:
            check.add(("data",), f"{key} is missing")
    test = None
    if data.get("test") is not None:
        test = find_file(check, ("data", "test"), data["test"], folders=True, hint=hint)
    tuning = _read_tuning(check, data.get("tuning"))
    train, dev = files.get("train"), files.get("dev")
    if train is None or dev is None:
        return None
    if len({train, dev, test}) < 3:
        check.add(("data",), "train, dev and test must be different files: a set that is trained on cannot select")
    return DataFiles(train, dev, None if test is None else SealedFile(test), tuning)


def _read_tuning(check: Checker, value: Any) -> float | None:
    """The share of dev that tunes."""
    if value is None or (isinstance(value, float) and 0 < value < 1):
        return value
    check.add(("data", "tuning"), f"is the share of dev that tunes while the rest judges, such as 0.5; got {value!r}")
    return None


def _read_promotion(check: Checker, value: Any) -> PromotionSettings:
    try:
        return PromotionSettings.model_validate(value)
    except ValidationError as error:
        check.validation(("promotion",), error, PromotionSettings)
        return PromotionSettings()


def _read_scorer(check: Checker, value: Any) -> str:
    try:
        _, characters, _ = parse_scorer(str(value))
    except ScoringError as error:
        check.add(("scorer",), str(error))
        return DEFAULT
    if characters:
        check.add(("scorer",), f"compares words: a campaign is decided by its word error rate; got {value!r}")
    return str(value)


def _read_settings(check: Checker, root: Mapping[str, Any]) -> dict[str, Any]:
    """The campaign's own settings, with the files they name resolved."""
    settings = {key: value for key, value in root.items() if key not in _KEYS}
    model = settings.get("language_model")
    if isinstance(model, dict):
        settings["language_model"] = {**model, **_language_model_files(check, model)}
    if check.catalogue is None:
        return settings
    try:
        check.model.model_validate(settings)
    except ValidationError as error:
        for detail in error.errors():
            location = tuple(detail["loc"])
            if detail["type"] == "extra_forbidden":
                valid = (*_KEYS, *Settings.model_fields) if len(location) == 1 else ()
                valid = (*valid, *(fields_at(check.model, location[:-1])))
                check.unknown(location, "key", dict.fromkeys(valid))
            else:
                check.add(location, plain_message(detail))
    return settings


def _language_model_files(check: Checker, model: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The files that a language model is made of, or is, as they were found."""
    found: dict[str, str | list[str]] = {}
    for key in FILE_SETTINGS:
        if key not in model:
            continue
        place: Place = ("language_model", key)
        if key == "text" and isinstance(model[key], list) and model[key]:
            paths = [find_file(check, (*place, number), name) for number, name in enumerate(model[key])]
            found[key] = [str(path or name) for path, name in zip(paths, model[key], strict=True)]
        else:
            found[key] = str(find_file(check, place, model[key]) or model[key])
    return found


def _read_studies(check: Checker, root: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, StudyDefinition]:
    raw = root.get("studies")
    if not isinstance(raw, dict) or not raw:
        check.add(("studies",), "needs at least one study: {NAME: {strategy: baseline}}")
        return {}
    keep = KeepSettings()
    try:
        keep = KeepSettings.model_validate(root.get("keep", "all"))
    except ValidationError as error:
        check.validation(("keep",), error, KeepSettings)
    confirm = read_confirm(check, ("confirm",), root.get("confirm"), None, None)
    studies: dict[str, StudyDefinition] = {}
    for name, body in raw.items():
        study = read_study(check, name, body, raw, settings, keep, confirm)
        if study is not None:
            studies[name] = study
    return _ordered(check, studies)


def _ordered(check: Checker, studies: dict[str, StudyDefinition]) -> dict[str, StudyDefinition]:
    """The studies, each after those it needs; a circle is a mistake."""
    done: dict[str, StudyDefinition] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in above:
            circle = " -> ".join((*above[above.index(name) :], name))
            check.add(("studies", name), f"needs itself: {circle}")
            return
        for before in studies[name].studies_before(studies):
            if before != name:  # that mistake is noted where the study is read
                visit(before, (*above, name))
        done.setdefault(name, studies[name])

    for name in studies:
        visit(name, ())
    return done


def unknown_study(campaign: Campaign, study: str) -> str:
    """Say that a campaign has no such study, and which it has."""
    return f"campaign {campaign.name}: {unknown_name('study', study, campaign.studies)}"
