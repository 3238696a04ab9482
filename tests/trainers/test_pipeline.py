import json
import shutil
from dataclasses import replace

import pytest

from search_spaces.errors import CheckpointError, LanguageModelError, StoreError
from trainers.artifacts import Score
from trainers.outcomes import load_errors, load_outcome
from trainers.pipeline import resolve_settings, run_trial, run_trials
from trainers.spec import EpochReport, Ingredient, TrialOutcome
from trainers.store import Store


def always(report):
    return True


def never(report):
    raise AssertionError("trained again")


@pytest.fixture
def store(trained, tmp_path):
    """A copy of the store in which a baseline was trained."""
    shutil.copytree(trained.store.root, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def source(trained, store):
    """The trained checkpoint in that store."""
    return replace(trained.ingredient, folder=store.path("checkpoints", trained.outcome.checkpoint))


def test_the_key_of_a_spec_depends_on_what_decides_its_result(make_spec, trained):
    spec = make_spec()
    same = make_spec(campaign="other", study="other", number=7)
    assert same.key == spec.key
    moved = replace(spec, train=spec.dev, dev=spec.train)  # what they hold is told by their fingerprints
    assert moved.key == spec.key
    others = [
        make_spec(values={"train.seed": 2}),
        make_spec(values={"train.lr": 0.02}),
        make_spec(values={"units": "char"}),
        make_spec(values={"features.normalise": "none"}),
        make_spec(data={"train": "t", "dev": "other"}),
        make_spec("self_distillation", needs={"teacher": (trained.ingredient,)}),
        make_spec("self_distillation", needs={"teacher": (replace(trained.ingredient, key="other"),)}),
    ]
    assert len({other.key for other in [spec, *others]}) == len(others) + 1


def test_the_key_of_a_spec_does_not_depend_on_where_things_lie_or_what_they_are_called(make_spec, trained, tmp_path):
    source = trained.ingredient
    moved = Ingredient("another_name", tmp_path / "elsewhere", source.key, 5)
    specs = [make_spec("self_distillation", needs={"teacher": (one,)}) for one in (source, moved)]
    assert specs[0].key == specs[1].key
    texts = [make_spec("decoding", {"language_model.text": text}, {"posteriors": (source,)}) for text in ("a", "b")]
    assert texts[0].key == texts[1].key
    orders = [make_spec("decoding", {"language_model.order": n}, {"posteriors": (source,)}) for n in (2, 3)]
    assert orders[0].key != orders[1].key


def test_an_outcome_has_counts_that_are_those_of_its_hypotheses(trained, tiny):
    outcome, spec = trained.outcome, trained.spec
    lines = (trained.store.path("outcomes", spec.key) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["reference"] for entry in entries] == ["STOP NO", "YES", "NO NO STOP", "GO YES"]
    total = sum(
        (Score(**{n: e[n] for n in ("substitutions", "deletions", "insertions", "words")}) for e in entries), Score()
    )
    assert total == outcome.score
    assert outcome.score.words == 8
    found = load_errors(trained.store.path("outcomes", spec.key))
    assert found.ids == tuple(entry["id"] for entry in entries)
    assert (found.errors.sum(), found.words.tolist()) == (outcome.score.errors, [2, 1, 3, 2])
    assert (outcome.decoder, outcome.units, outcome.pruned) == ("greedy", "word", False)
    assert len(outcome.epochs) == 12
    assert outcome.score.wer == outcome.epochs[outcome.best_epoch - 1].dev_wer
    assert outcome.score.wer == min(report.dev_wer for report in outcome.epochs)


def test_an_outcome_comes_back_from_its_file(trained, tmp_path):
    assert load_outcome(trained.store.path("outcomes", trained.spec.key)) == trained.outcome
    report = EpochReport(1, 2, 3.0, 40.0, 0.5, 1e-3, 2.0, 0.1)
    outcome = TrialOutcome(score=Score(1, 2, 3, 10), epochs=(report,), notes=("first", "second"), best_epoch=1)
    (tmp_path / "outcome.json").write_text(
        json.dumps(
            {
                **{name: getattr(outcome, name) for name in TrialOutcome.__slots__},
                "score": {"substitutions": 1, "deletions": 2, "insertions": 3, "words": 10},
                "epochs": [{name: getattr(report, name) for name in EpochReport.__slots__}],
            }
        )
    )
    assert load_outcome(tmp_path) == outcome


def test_errors_by_utterance_that_are_gone_are_an_error_in_words(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        load_errors(tmp_path)


def test_a_second_run_takes_the_outcome_from_the_store(trained, store):
    shutil.rmtree(store.path("posteriors", trained.outcome.posteriors))
    again = replace(trained.spec, study="another", number=9)
    assert run_trial(again, store, never) == trained.outcome
    assert not store.has("posteriors", trained.outcome.posteriors)


def test_an_outcome_whose_weights_are_gone_is_trained_again_to_the_same_weights(trained, store):
    weights = store.path("checkpoints", trained.spec.key) / "model.safetensors"
    before = weights.read_bytes()
    shutil.rmtree(weights.parent)
    assert run_trial(trained.spec, store, lambda report: True) == trained.outcome
    assert weights.read_bytes() == before


def test_a_run_whose_outcome_was_lost_does_not_train_again(trained, store):
    shutil.rmtree(store.path("outcomes", trained.spec.key))
    found = run_trial(trained.spec, store, never)
    assert found == trained.outcome


def test_a_pruned_trial_reports_its_epochs_and_leaves_nothing_unfinished(make_spec, store):
    spec = make_spec(values={"train.seed": 5})
    outcome = run_trial(spec, store, lambda report: report.epoch < 2)
    assert outcome.pruned
    assert outcome.score is None
    assert [report.epoch for report in outcome.epochs] == [1, 2]
    assert outcome.seconds > 0
    assert not store.has("checkpoints", spec.key)
    assert not store.has("outcomes", spec.key)
    assert not store.unfinished("checkpoints", spec.key).exists()
    # asked again, it starts from the first epoch
    seen = []
    run_trial(spec, store, lambda report: seen.append(report.epoch) or True)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"model.hidden": 24},
            "own architecture; it has hidden 16 against 24; strategy distillation takes a teacher of any size",
        ),
        ({"model.layers": 2}, "own architecture"),
        ({"model.encoder": "bilstm"}, "own architecture"),
    ],
)
def test_self_distillation_refuses_a_teacher_of_another_architecture(make_spec, store, source, values, words):
    spec = make_spec("self_distillation", values, {"teacher": (source,)})
    with pytest.raises(CheckpointError, match=words):
        run_trial(spec, store, never)
    assert not store.has("checkpoints", spec.key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda labels: labels[::-1], "alphabet is not the student's; the order differs"),
        (lambda labels: [*labels[:-1], "▁YEAH"], r"only one of them has \['▁YEAH', '▁YES'\]"),
    ],
)
def test_self_distillation_refuses_a_teacher_of_another_alphabet(make_spec, store, source, change, words):
    path = source.folder / "checkpoint.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["alphabet"]["labels"] = change(description["alphabet"]["labels"])
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(CheckpointError, match=words):
        run_trial(make_spec("self_distillation", {}, {"teacher": (source,)}), store, never)


def test_self_distillation_takes_a_teacher_with_another_dropout(make_spec, store, source):
    spec = make_spec("self_distillation", {"model.dropout": 0.4, "train.epochs": 1}, {"teacher": (source,)})
    assert run_trial(spec, store, always).score.words == 8


def test_self_distillation_refuses_a_teacher_of_another_frame_rate(make_spec, store, source):
    spec = make_spec("self_distillation", {"features.stack": 2}, {"teacher": (source,)})
    with pytest.raises(CheckpointError, match="frame rate is not the student's"):
        run_trial(spec, store, never)


def test_the_teacher_reads_the_training_set_once_for_all_trials(make_spec, store, source):
    for number, alpha in enumerate((0.3, 0.7)):
        values = {"distillation.alpha": alpha, "train.epochs": 1}
        run_trial(make_spec("self_distillation", values, {"teacher": (source,)}), store, always)
        if number == 0:
            (source.folder / "model.safetensors").unlink()


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_a_decoding_trial_never_runs_the_network(make_spec, store, source, trained, method):
    # the posteriors of dev are there since the checkpoint was trained
    (source.folder / "model.safetensors").unlink()
    spec = make_spec("decoding", {"decoding.method": method, "decoding.alpha": 0.3}, {"posteriors": (source,)})
    outcome = run_trial(spec, store, never)
    assert outcome.score.words == 8
    assert (outcome.checkpoint, outcome.posteriors) == (source.key, trained.outcome.posteriors)
    assert outcome.decoder == ("greedy" if method == "greedy" else "beam 50, 2-gram")
    assert (outcome.language_model != "") == (method == "beam")
    assert outcome.epochs == ()
    if method == "greedy":
        assert outcome.score == trained.score


def test_decoding_trials_run_together_give_what_each_gives_alone(make_spec, source, trained, tmp_path):
    points = [{"decoding.alpha": alpha, "decoding.beam_width": width} for alpha in (0.0, 0.7) for width in (3, 20)]
    points += [{"decoding.temperature": 2.0}, {"decoding.method": "greedy"}, {"language_model.order": 3}]
    points += [{"decoding.unknown_offset": -5.0}]
    specs = [make_spec("decoding", point, {"posteriors": (source,)}, number=n) for n, point in enumerate(points)]
    together = {spec.number: found for spec, found in run_trials(specs, Store(tmp_path / "a"), lambda *_: True)}
    alone = {spec.number: run_trial(spec, Store(tmp_path / "b"), lambda _: True) for spec in specs}
    assert len(together) == len(points)
    for number, found in alone.items():
        assert replace(found, seconds=0.0, cpu_seconds=0.0) == replace(together[number], seconds=0.0, cpu_seconds=0.0)
    shown = [together[number].decoder for number in range(len(points))]
    assert shown == ["beam 3, 2-gram", "beam 20, 2-gram"] * 2 + [
        "beam 50, 2-gram",
        "greedy",
        "beam 50, 3-gram",
        "beam 50, 2-gram",
    ]


def test_a_decoding_trial_needs_nothing_of_the_campaign_s_features(make_spec, store, source):
    # its spec has no section of features: those are the checkpoint's
    spec = make_spec("decoding", {}, {"posteriors": (source,)})
    assert "features" not in spec.settings
    run_trial(spec, store, never)
    lines = (store.path("outcomes", spec.key) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["language"] is not None for line in lines)
    assert len(lines) == 4


def test_a_decoding_trial_whose_posteriors_are_lost_makes_them_again(make_spec, store, source):
    shutil.rmtree(store.root / "posteriors")
    spec = make_spec("decoding", {}, {"posteriors": (source,)})
    assert run_trial(spec, store, never).score.words == 8


def test_a_decoding_trial_without_a_text_for_its_language_model_fails_with_the_name_of_the_file(
    make_spec, store, source, tmp_path
):
    spec = make_spec("decoding", {"language_model.text": str(tmp_path / "nothing.txt")}, {"posteriors": (source,)})
    with pytest.raises(LanguageModelError, match=r"nothing\.txt cannot be read"):
        run_trial(spec, store, never)
    assert not store.has("outcomes", spec.key)


def test_settings_are_resolved_with_the_sections_of_all_strategies():
    settings = resolve_settings({"train": {"epochs": 3}, "distillation": {"alpha": 0.2}})
    assert settings.train.epochs == 3
    assert settings.distillation.alpha == 0.2
    assert settings.model.encoder == "conv"
