"""The kept epochs of a run made one checkpoint, which is promoted, decoded and taught from like any."""

from pathlib import Path

from torch import Tensor

from search_spaces.errors import FusionError
from trainers.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from trainers.combining.rule import WeightRule
from trainers.data.features import PackedFeatures
from trainers.decoding.greedy import greedy_set
from trainers.device import choose_device
from trainers.emission import emitted
from trainers.kept_epochs import kept_epochs, load_epoch
from trainers.scoring.references import References
from trainers.store import Store, code_digest, digest


def average_epochs(
    store: Store, name: str, run: Checkpoint, rule: WeightRule, features: PackedFeatures, references: References
) -> tuple[str, Checkpoint]:
    """The mean of a run's kept epochs, made once.

    Args:
        store: Where it is kept.
        name: What the run is called, for messages.
        run: Its checkpoint.
        rule: Chooses the epochs.
        features: Of dev, as the run reads them.
        references: Of the utterances of dev by which a rule chooses, if it chooses by errors.

    Returns:
        The key of the new checkpoint, and the checkpoint.

    Raises:
        FusionError: The run kept no epochs, or not those that the rule wants.
    """
    epochs = kept_epochs(run.folder)
    if not epochs:
        raise FusionError(
            [f"{name} kept the weights of no epoch; train.keep_last or train.keep_epochs in its study keeps them"]
        )
    run.refuse_other_features(features, "dev")
    network = run.network().to(choose_device())

    def errors(weights: dict[str, Tensor]) -> float:
        network.load_state_dict(weights)
        frames = emitted(network, run, features)
        return references.score(greedy_set(frames, run.alphabet)).errors

    def make(folder: Path) -> None:
        average = rule.fuse([load_epoch(run.folder, epoch) for epoch in epochs], errors)
        network.load_state_dict(average.weights)
        save_checkpoint(
            folder,
            network,
            model=run.model,
            features=run.features,
            inputs=run.inputs,
            alphabet=run.alphabet,
            rate=run.rate,
            training={**run.training, "key": key, "averaged": average.members, "notes": average.notes},
        )

    chosen_by = [features.key, sorted(references.texts), references.scorer.name]
    key = digest([run.digest, epochs, rule.name, rule.settings.model_dump(), *chosen_by, code_digest()])
    return key, load_checkpoint(store.entry("checkpoints", key, make))
