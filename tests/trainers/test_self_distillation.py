from dataclasses import replace

import numpy as np
import pytest
import torch

from trainers.checkpoint import load_checkpoint
from trainers.data.batches import make_batch
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus, encode_targets
from trainers.data.warp import rescale_time
from trainers.losses.ctc import ctc_loss
from trainers.losses.distillation import distillation_loss, frame_distillation_loss, select_frames
from trainers.model.network import EncoderNetwork
from trainers.pipeline import resolve_settings
from trainers.strategies.self_distillation import SelfDistillation
from trainers.trial import Trial


@pytest.fixture
def prepare(make_spec, store, trained):
    """A strategy with these settings that has its teacher, a batch, and both networks' say on it."""

    def preparer(values, student=None):
        spec = make_spec("self_distillation", values, {"teacher": (trained.ingredient,)})
        trial = Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True)
        alphabet = Alphabet.of("word", trial.train.references)
        torch.manual_seed(3)
        network = student or EncoderNetwork(trial.settings.model, trial.train.features.dimensions, len(alphabet))
        targets = encode_targets(trial.train, alphabet, network.output_lengths)
        strategy = SelfDistillation(trial)
        strategy.prepare(network, Corpus(trial.train, targets, trial.dev, alphabet, trial.tuned_by))
        batch = make_batch(trial.train.features, np.array([5, 0, 3]), targets)
        teacher = load_checkpoint(trained.folder).network()
        with torch.no_grad():
            taught, lengths = teacher(batch.features, batch.lengths)
            log_probs, _ = network.eval()(batch.features, batch.lengths)
        return strategy, batch, log_probs, lengths, taught

    return preparer


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("beta", [None, 0.0, 2.0])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(
    ("frames", "dilate"), [("all", 1), ("blank_elim", 1), ("dilate_k", 1), ("dilate_k", 3), ("nonblank_renorm", 1)]
)
def test_the_loss_is_the_teacher_s_and_the_transcript_s_with_their_weights(
    prepare, alpha, beta, temperature, frames, dilate
):
    values = {"alpha": alpha, "beta": beta, "temperature": temperature, "frames": frames, "dilate": dilate}
    strategy, batch, log_probs, lengths, taught = prepare({f"distillation.{name}": v for name, v in values.items()})
    divergence = frame_distillation_loss(
        log_probs, taught, lengths, batch.tokens, frames=frames, dilate=dilate, temperature=temperature
    )
    ctc = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)
    assert divergence > (0.01 if frames == "nonblank_renorm" else 0.1)
    expected = alpha * divergence + (1 - alpha if beta is None else beta) * ctc
    torch.testing.assert_close(strategy.loss(log_probs, lengths, batch), expected, rtol=1e-4, atol=1e-5)


def test_a_student_that_is_the_teacher_has_nothing_to_learn_from_it(prepare, trained):
    values = {"distillation.alpha": 1.0, "distillation.frames": "all"}
    teacher = load_checkpoint(trained.folder).network()
    strategy, batch, log_probs, lengths, _ = prepare(values, teacher)
    assert abs(strategy.loss(log_probs, lengths, batch).item()) < 1e-4


def test_a_rescaled_utterance_is_taught_by_posteriors_rescaled_alike(prepare):
    strategy, batch, log_probs, lengths, taught = prepare({"distillation.alpha": 1.0, "distillation.frames": "all"})
    new = lengths * 2 - 1  # every second frame is an old one
    longer = replace(batch, original_lengths=batch.lengths, lengths=new)
    student = rescale_time(log_probs, lengths, new)
    teacher = rescale_time(taught.exp(), lengths, new).clamp(min=1e-30).log()
    expected = distillation_loss(student, teacher, select_frames(teacher, new, "all"), 1.0, batch.tokens)
    torch.testing.assert_close(strategy.loss(student, new, longer), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(teacher[0, ::2][: lengths[0]], taught[0, : lengths[0]], rtol=1e-4, atol=1e-4)
