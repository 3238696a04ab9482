"""A checkpoint from elsewhere as a trial of a campaign."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from orchestrator.home import Home
from orchestrator.import_study import Import, refuse_name, with_import
from search_spaces.axes.model import ModelSettings
from search_spaces.axes.settings import Settings, overlay
from search_spaces.campaign import Campaign
from search_spaces.checking import plain_message
from search_spaces.errors import CheckpointError, UserError
from trainers.checkpoint import DESCRIPTION, keep_checkpoint, load_checkpoint, save_checkpoint
from trainers.data.batches import make_batch
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.data.sets import load_set
from trainers.exchange.foreign_weights import fit_weights, read_weights
from trainers.exchange.labels import read_labels
from trainers.model.build import build_network
from trainers.model.contract import check_contract
from trainers.model.own import OwnNetwork, source_digest
from trainers.pipeline import resolve_settings
from trainers.store import Store, digest_files

_SECTIONS = ("units", "features", "model")


@dataclass(frozen=True, slots=True)
class Origin:
    """What is imported.

    Attributes:
        file: A file of weights, or the folder of a checkpoint of this program.
        strip: Prefix to take off the names of the weights.
        part: Key of the state dict in the file, where it holds several.
        labels: File with the label of every output column; None takes the campaign's alphabet.
        blank: Name of the blank in that file; empty for the empty line.
        changes: Settings instead of the campaign's, by dotted name.
    """

    file: Path
    strip: str = ""
    part: str = ""
    labels: Path | None = None
    blank: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def prepare_import(campaign: Campaign, name: str, origin: Origin, home: Home) -> Import:
    """Put a checkpoint into the store, and a study of it into the campaign; nothing is run.

    Args:
        campaign: The campaign.
        name: Name of the study.
        origin: The checkpoint.
        home: Where results go.

    Raises:
        UserError: The checkpoint, its labels or the settings do not fit, or the name is taken.
    """
    refuse_name(campaign, name)
    store = Store(home.store)
    warnings: list[str] = []
    if (origin.file / DESCRIPTION).is_file():
        if origin.strip or origin.part or origin.labels or origin.blank or origin.changes:
            raise UserError(
                f"{origin.file} is a whole checkpoint: --strip, --part, --labels, --blank and --set are not for it"
            )
        checkpoint = load_checkpoint(origin.file)
        checkpoint.network()
        _, folder = keep_checkpoint(store, checkpoint)
    else:
        with tempfile.TemporaryDirectory(dir=store.root) as beside:
            warnings += _convert(campaign, origin, store, Path(beside))
            _, folder = keep_checkpoint(store, load_checkpoint(Path(beside)))
    checkpoint = load_checkpoint(folder)
    checkpoint.refuse_other_features(load_set(store, campaign.data.dev, checkpoint.features).features, "dev")
    return with_import(campaign, name, folder, warnings)


def _convert(campaign: Campaign, origin: Origin, store: Store, folder: Path) -> list[str]:
    """Write foreign weights as a checkpoint of this program; what the user should know."""
    found = read_weights(origin.file, origin.part)
    settings = _settings(campaign, origin.changes)
    model = settings.model
    if origin.labels is None:
        if origin.blank:
            raise UserError("--blank names a line of the file of labels; it needs --labels FILE")
        texts = [utterance.text for utterance in read_manifest(campaign.data.train)]
        alphabet, column = Alphabet.of(settings.units, texts), None
    else:
        alphabet, column = read_labels(origin.labels, settings.units, origin.blank)
    if column is not None and model.class_path is not None:
        model = ModelSettings.model_validate({**model.model_dump(), "blank": column})
    dev = load_set(store, campaign.data.dev, settings.features)
    network = build_network(model, dev.features.dimensions, len(alphabet))
    warnings: list[str] = []
    try:
        fit_weights(origin.file, network.model if isinstance(network, OwnNetwork) else network, found, origin.strip)
    except CheckpointError as error:
        where = "of --labels" if origin.labels else "that the training transcripts ask for; --labels FILE names others"
        raise CheckpointError(f"{error}\nthe network has {len(alphabet)} labels, those {where}") from error
    if isinstance(network, OwnNetwork):
        order = dev.features.lengths.argsort()
        batch = make_batch(dev.features, order[[0, len(order) // 2, -1]])
        warnings = check_contract(network, batch.features, batch.lengths)
    elif column:
        _blank_first(network.get_submodule("head"), column)
    source = {"file": digest_files([origin.file])}
    if model.class_path is not None:
        source["class"] = source_digest(model.class_path)
    save_checkpoint(
        folder,
        network,
        model=model,
        features=settings.features,
        inputs=dev.features.dimensions,
        rate=dev.features.rate,
        alphabet=alphabet,
        training={"imported": source},
    )
    return warnings


def _settings(campaign: Campaign, changes: Mapping[str, Any]) -> Settings:
    """The campaign's settings with changes; a class drops the settings of an encoder, and the reverse."""
    odd = [name for name in changes if name.split(".")[0] not in _SECTIONS]
    if odd:
        raise UserError(f"--set {odd[0]}: an import trains nothing; only {', '.join(_SECTIONS)} describe a checkpoint")
    tree = dict(campaign.settings)
    own = (tree.get("model") or {}).get("class") is not None
    if ("model.encoder" if own else "model.class") in changes:
        tree["model"] = {}
    try:
        return resolve_settings(overlay(tree, changes))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {plain_message(one)}" for one in error.errors())
        raise UserError(f"--set does not go with campaign {campaign.name}: {said}") from error


def _blank_first(head: torch.nn.Module, column: int) -> None:
    """Put the blank's row of a head first."""
    with torch.no_grad():
        for weight in head.parameters():
            order = [column, *(row for row in range(len(weight)) if row != column)]
            weight.copy_(weight[order].clone())
