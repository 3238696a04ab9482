"""What every level of distillation promises; a new one is tested by these unasked."""

import json
from dataclasses import replace
from typing import get_args

import pytest
import torch

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.errors import CheckpointError
from trainers.data.batches import make_batch
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus, encode_targets
from trainers.losses.ctc import ctc_loss
from trainers.losses.sequence import sequence_loss
from trainers.model.network import EncoderNetwork
from trainers.pipeline import resolve_settings, run_trial
from trainers.store import Store
from trainers.strategies.distillation import Distillation
from trainers.teaching.distilling import open_teacher
from trainers.teaching.hypotheses import TeacherHypotheses
from trainers.teaching.n_best import KIND
from trainers.trial import Trial

LEVELS = get_args(DistillationSettings.model_fields["level"].annotation)


def always(report):
    return True


def curve(outcome):
    return [(report.loss, report.dev_wer, report.gradient_norm) for report in outcome.epochs]


@pytest.fixture
def spec_of(make_spec, trained):
    def maker(level, **values):
        values = {f"distillation.{name}": value for name, value in values.items() if "__" not in name} | {
            name.replace("__", "."): value for name, value in values.items() if "__" in name
        }
        return make_spec("distillation", {"distillation.level": level, **values}, {"teacher": (trained.ingredient,)})

    return maker


@pytest.fixture
def student(spec_of, store):
    """A strategy of these settings that has its teacher, and what it works with."""

    def preparer(level, **values):
        spec = spec_of(level, **values)
        trial = Trial(spec, resolve_settings(dict(spec.settings)), store, always)
        alphabet = Alphabet.of(trial.settings.units, trial.train.references)
        torch.manual_seed(3)
        network = EncoderNetwork(trial.settings.model, trial.train.features.dimensions, len(alphabet)).eval()
        corpus = Corpus(
            trial.train,
            encode_targets(trial.train, alphabet, network.output_lengths),
            trial.dev,
            alphabet,
            trial.tuned_by,
        )
        strategy = Distillation(trial)
        strategy.prepare(network, corpus)
        return strategy, network, corpus

    return preparer


@pytest.mark.parametrize("level", LEVELS)
def test_without_weight_it_is_the_baseline_and_with_weight_it_is_not(make_spec, spec_of, store, level):
    common = {"train__epochs": 2, "train__time_rescale": 0.1, "model__dropout": 0.2}
    baseline = make_spec("baseline", {name.replace("__", "."): value for name, value in common.items()})
    expected = curve(run_trial(baseline, store, always))
    assert curve(run_trial(spec_of(level, alpha=0.0, **common), store, always)) == expected
    assert curve(run_trial(spec_of(level, alpha=0.4, **common), store, always)) != expected


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(spec_of, tmp_path, level):
    spec = spec_of(level, train__epochs=3, train__time_rescale=0.1)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    expected = run_trial(spec, whole, always)

    def interrupt(report):
        if report.epoch == 2:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        run_trial(spec, broken, interrupt)
    seen = []
    found = run_trial(spec, broken, lambda report: seen.append(report.epoch) or True)
    assert seen == [3]
    assert curve(found) == curve(expected)
    weights = [s.path("checkpoints", spec.key) / "model.safetensors" for s in (whole, broken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("level", LEVELS)
def test_its_loss_has_a_gradient_at_the_student_s_output(student, level):
    strategy, network, corpus = student(level, alpha=0.6)
    batch = make_batch(corpus.train.features, torch.tensor([5, 0, 3]).numpy(), corpus.targets)
    log_probs, lengths = network(batch.features, batch.lengths)
    output = log_probs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(strategy.loss(output, lengths, batch), output)
    ctc = ctc_loss(output, lengths, batch.targets, batch.target_lengths)
    (plain,) = torch.autograd.grad(ctc, output)
    assert gradient.isfinite().all()
    assert not torch.allclose(gradient, plain, atol=1e-4)


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "sequence"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"units": "char", "model.encoder": "bilstm"}, "alphabet is not the student's"),
        ({"features.stack": 2}, "frame rate is not the student's"),
    ],
)
def test_where_frames_are_compared_another_alphabet_or_frame_rate_is_refused(
    make_spec, trained, store, level, values, words
):
    spec = make_spec("distillation", {"distillation.level": level, **values}, {"teacher": (trained.ingredient,)})
    with pytest.raises(CheckpointError, match=words):
        run_trial(spec, store, always)


@pytest.mark.parametrize("values", [{"units": "char"}, {"units": "marked_char"}, {"features.stack": 2}])
def test_where_sequences_are_learned_neither_is(make_spec, trained, store, values):
    values = {"distillation.level": "sequence", "train.epochs": 1, "model.encoder": "bilstm", **values}
    spec = make_spec("distillation", values, {"teacher": (trained.ingredient,)})
    assert run_trial(spec, store, always).score.words == 8


def test_the_sequences_are_the_teacher_s_best_in_the_labels_of_the_student(student):
    strategy, network, corpus = student("sequence", alpha=1.0, n_best=3)
    batch = make_batch(corpus.train.features, torch.tensor([5, 0, 3]).numpy(), corpus.targets)
    said = strategy._said(batch)
    starts = said.target_lengths.cumsum(0) - said.target_lengths
    for row, index in enumerate([5, 0, 3]):
        mine = (said.utterances == row).nonzero()[:, 0]
        assert 1 <= len(mine) <= 3
        assert (said.scores[mine].diff() <= 0).all()
        texts = [
            corpus.alphabet.text(said.targets[starts[i] : starts[i] + said.target_lengths[i]].tolist()) for i in mine
        ]
        assert texts[0] == corpus.train.utterances[index].text
        assert len(set(texts)) == len(texts)
    log_probs, lengths = network(batch.features, batch.lengths)
    expected = sequence_loss(log_probs, lengths, said, batch.tokens).loss
    torch.testing.assert_close(strategy.loss(log_probs, lengths, batch), expected)


def test_the_search_is_made_once_a_length_of_the_list(student, store):
    for n_best in (2, 2, 5):
        student("sequence", n_best=n_best)
    entries = [path for path in (store.root / KIND).iterdir() if not path.name.startswith(".")]
    assert len(entries) == 2
    lines = (entries[0] / "n_best.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 12
    assert json.loads(lines[0]).keys() == {"id", "texts", "acoustic"}


def test_hypotheses_that_cannot_be_written_are_left_out_counted_and_noted(student, spec_of, store, monkeypatch):
    strategy, _, corpus = student("sequence")
    assert (strategy._said.dropped, strategy.notes) == (0, ())
    fewer = replace(corpus, alphabet=Alphabet("word", tuple(x for x in corpus.alphabet.labels if x != "▁STOP")))
    said = TeacherHypotheses(open_teacher(strategy.trial), fewer, 8)
    everything = TeacherHypotheses(open_teacher(strategy.trial), corpus, 8)
    with_it = sum("▁STOP" in [corpus.alphabet.labels[i] for i in one] for many, _ in everything._lists for one in many)
    assert said.dropped == with_it > 0
    assert said.notes[0].startswith(f"{with_it} of the teacher's ")
    monkeypatch.setattr("trainers.teaching.distilling.TeacherHypotheses", lambda teacher, corpus, count: said)
    outcome = run_trial(spec_of("sequence", alpha=0.3, train__epochs=1), store, always)
    assert outcome.notes[0] == said.notes[0]


def test_a_batch_of_whose_hypotheses_none_can_be_written_adds_nothing(student):
    strategy, network, corpus = student("sequence", alpha=1.0)
    strategy._said = TeacherHypotheses(
        open_teacher(strategy.trial), replace(corpus, alphabet=Alphabet("word", ("", "▁OTHER"))), 1
    )
    assert strategy._said.dropped == len(corpus.train)
    batch = make_batch(corpus.train.features, torch.tensor([5, 0]).numpy(), corpus.targets)
    log_probs, lengths = network(batch.features, batch.lengths)
    assert strategy.loss(log_probs, lengths, batch).item() == 0
