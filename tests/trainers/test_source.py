import json
from dataclasses import replace

import numpy as np
import pytest

from search_spaces.errors import CheckpointError, PosteriorsError, SealedError
from search_spaces.sealing import SealedFile
from trainers.data.labels import Alphabet
from trainers.data.sealed import SealedSet
from trainers.emission import write_posteriors
from trainers.exchange.imported_posteriors import DESCRIPTION, describe, keep_imported, load_imported
from trainers.pipeline import run_trial
from trainers.prior import label_prior
from trainers.source import CheckpointSource, ImportedSource, checkpoint_of, open_source
from trainers.spec import Ingredient
from trainers.teaching.top_posteriors import top_posteriors


@pytest.fixture
def trial(trained, at_hand):
    return at_hand(trained.spec, trained.store)


@pytest.fixture
def network(trial, trained):
    return open_source(trial, trained.ingredient)


@pytest.fixture
def imported(network, store):
    """What the network says of both sets, imported in the reverse order of the manifests."""

    def make(folder, splits=("dev", "train")):
        for split in splits:
            found = network.posteriors(split)[1]
            order = range(len(found))[::-1]
            (folder / split).mkdir(parents=True)
            offsets = np.concatenate([[0], np.cumsum([len(found[index]) for index in order])])
            blocks = [found[index] for index in order]
            write_posteriors(folder / split, [found.ids[index] for index in order], offsets, found.labels, blocks)
        describe(folder, network.alphabet, splits, 0.04, {})
        key, place = keep_imported(store, load_imported(folder))
        return Ingredient("outside", place, key)

    return make


def test_a_checkpoint_and_its_own_posteriors_imported_say_the_same(trial, network, imported, tmp_path):
    source = open_source(trial, imported(tmp_path / "outside"))
    assert isinstance(source, ImportedSource)
    assert (source.alphabet, source.frame_seconds, source.weights) == (network.alphabet, 0.04, 0)
    for split in ("train", "dev"):
        (name, found), (other, wanted) = source.posteriors(split), network.posteriors(split)
        assert found.ids == wanted.ids == source.ids(split)
        assert np.asarray(found.log_probs).tobytes() == np.asarray(wanted.log_probs).tobytes()
        assert source.lengths(split).tolist() == network.lengths(split).tolist()
        assert name != other
        assert trial.store.has("posteriors", name)
    assert label_prior(trial.store, source)[1] == pytest.approx(label_prior(trial.store, network)[1], rel=1e-9)
    ours, theirs = (top_posteriors(trial.store, one, "train") for one in (source, network))
    assert ours.log_probs.tobytes() == theirs.log_probs.tobytes()
    assert ours.kept.tobytes() == theirs.kept.tobytes()
    assert ours.ids == theirs.ids


def test_what_a_trial_makes_of_imported_posteriors_is_what_it_makes_of_the_checkpoint(
    trained, make_spec, imported, store, tmp_path
):
    ingredient = imported(tmp_path / "outside")
    for strategy, need in (("imported", "checkpoint"), ("decoding", "posteriors")):
        values = {"language_model.discount_fallback": True} if strategy == "decoding" else {}
        outcomes = [
            run_trial(make_spec(strategy, values, {need: (one,)}), store, lambda report: True)
            for one in (ingredient, trained.ingredient)
        ]
        assert outcomes[0].score == outcomes[1].score
        assert (outcomes[0].checkpoint, outcomes[0].imported) == ("", ingredient.key)
        assert (outcomes[1].checkpoint, outcomes[1].imported) == (trained.ingredient.key, "")
        assert outcomes[0].made_of == f"imported_posteriors/{ingredient.key}"


@pytest.mark.parametrize("level", ["frame", "sequence"])
def test_a_student_learns_from_imported_posteriors_what_it_learns_from_their_network(
    level, trained, make_spec, imported, store, tmp_path
):
    values = {"train.epochs": 2, "distillation.level": level}
    losses = []
    for one in (imported(tmp_path / "outside"), trained.ingredient):
        outcome = run_trial(make_spec("distillation", values, {"teacher": (one,)}), store, lambda report: True)
        losses.append([report.loss for report in outcome.epochs])
    assert losses[0] == losses[1]


def test_a_teacher_needs_the_training_set_and_the_message_says_how_to_import_it(make_spec, imported, store, tmp_path):
    spec = make_spec("distillation", {"train.epochs": 1}, {"teacher": (imported(tmp_path / "outside", ("dev",)),)})
    with pytest.raises(PosteriorsError, match=r"of dev and none of train; .*orchestrator import-posteriors FOLDER"):
        run_trial(spec, store, lambda report: True)


def test_who_needs_a_network_is_told_that_there_is_none(make_spec, imported, store, tmp_path, trained):
    ingredient = imported(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="posteriors of another program, without a network"):
        checkpoint_of(ingredient)
    spec = make_spec("self_distillation", {"train.epochs": 1}, {"teacher": (ingredient,)})
    with pytest.raises(CheckpointError, match="teach with strategy distillation"):
        run_trial(spec, store, lambda report: True)
    spec = make_spec("distillation", {"train.epochs": 1}, {"teacher": (trained.ingredient,), "student": (ingredient,)})
    with pytest.raises(CheckpointError, match="here one is needed"):
        run_trial(spec, store, lambda report: True)


def test_a_set_that_has_grown_since_is_refused_with_the_names(trained, at_hand, imported, tmp_path, tiny):
    ingredient = imported(tmp_path / "outside")
    first, *rest = tiny.dev.read_text(encoding="utf-8").splitlines()
    grown = tiny.folder / "grown.jsonl"
    grown.write_text("\n".join([*rest, first, first.replace("dev_0", "../features/dev_0")]) + "\n", encoding="utf-8")
    trial = at_hand(replace(trained.spec, dev=grown), trained.store)
    with pytest.raises(PosteriorsError, match=r"no posteriors of 1 utterances of dev: features/\.\./features/dev_0; "):
        open_source(trial, ingredient).posteriors("dev")


def test_the_test_set_is_said_only_when_the_campaign_is_finalized(trial, network, imported, tmp_path, tiny):
    folder = tmp_path / "outside"
    imported(folder, ("dev",))
    (folder / "dev").rename(folder / "test")
    describe(folder, network.alphabet, ("test",), None, {})
    source = ImportedSource(trial, "key", load_imported(folder))
    with pytest.raises(SealedError, match="when the campaign is finalized"):
        source.posteriors("test")
    trial.test = SealedSet(SealedFile(tiny.dev))  # dev itself stands for the test set
    found = source.posteriors("test")[1]
    assert np.asarray(found.log_probs).tobytes() == np.asarray(network.posteriors("dev")[1].log_probs).tobytes()


def test_the_key_is_of_the_content_and_not_of_the_way_it_came(network, imported, tmp_path):
    folder = tmp_path / "outside"
    first = imported(folder).key
    describe(folder, network.alphabet, ("dev", "train"), 0.04, {"kinds": {"dev": "logits"}})
    assert load_imported(folder).digest == first
    others = {first}
    for alphabet, seconds in ((Alphabet("char", network.alphabet.labels), 0.04), (network.alphabet, 0.05)):
        describe(folder, alphabet, ("dev", "train"), seconds, {})
        others.add(load_imported(folder).digest)
    assert len(others) == 3


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 9}', '{"format": 1, "alphabet": {}}'])
def test_a_folder_without_a_description_of_ours_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / DESCRIPTION).write_text(content, encoding="utf-8")
    with pytest.raises(PosteriorsError, match=r"imported_posteriors\.json (cannot be read|has format 9)"):
        load_imported(tmp_path)


def test_a_checkpoint_is_opened_as_one(trial, trained):
    source = open_source(trial, trained.ingredient)
    assert isinstance(source, CheckpointSource)
    assert source.frame_seconds is None  # stored features do not say
    assert json.loads((trained.folder / "checkpoint.json").read_text())["weights"] == source.weights
