"""What every loss promises, on random batches: a new one is added to `LOSSES` and tested by these unasked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.random_batches import LABELS, batch_of, padding, utterances
from trainers.losses.consistency import consistency_loss, consistent_ctc_loss
from trainers.losses.ctc import ctc_loss
from trainers.losses.distillation import frame_distillation_loss
from trainers.losses.guided import guided_loss
from trainers.losses.mixup import Mix, mixup_loss
from trainers.losses.sequence import Hypotheses, sequence_loss
from trainers.losses.smoothing import smooth, uniform_labels, unigram_labels
from trainers.losses.span import span_loss


def framewise(**options):
    def loss(log_probs, teacher, lengths, targets, target_lengths):
        return frame_distillation_loss(log_probs, teacher, lengths, int(target_lengths.sum()), **options)

    return loss


def spans(log_probs, teacher, lengths, targets, target_lengths):
    return span_loss(log_probs, teacher, lengths, int(target_lengths.sum()), temperature=2.0)


def guided(log_probs, teacher, lengths, targets, target_lengths):
    return guided_loss(log_probs, teacher, lengths, int(target_lengths.sum()))


def consistency(log_probs, teacher, lengths, targets, target_lengths):
    return consistency_loss(log_probs, teacher, lengths, int(target_lengths.sum()))


def consistent(log_probs, teacher, lengths, targets, target_lengths):
    return consistent_ctc_loss(log_probs, teacher, lengths, targets, target_lengths, 0.2)


def sequences(log_probs, teacher, lengths, targets, target_lengths):
    """Three hypotheses an utterance: its transcript, the transcript with other labels, and one that never fits."""
    batch = len(lengths)
    long = torch.ones(batch, 15, dtype=torch.int64, device=targets.device)
    hypotheses = Hypotheses(
        torch.arange(batch, device=targets.device).repeat(3),
        torch.cat([targets, LABELS - targets, long.flatten()]),
        torch.cat([target_lengths, target_lengths, torch.full_like(target_lengths, 15)]),
        torch.tensor([0.0, -1.0, 5.0], device=targets.device).repeat_interleave(batch),
    )
    loss, left_out, without = sequence_loss(log_probs, lengths, hypotheses, int(target_lengths.sum()))
    assert (left_out, without) == (batch, 0)
    return loss


def mixed(log_probs, teacher, lengths, targets, target_lengths):
    partners = torch.arange(len(lengths), device=targets.device).roll(1)
    weights = torch.linspace(0.1, 0.9, len(lengths), dtype=torch.float64, device=targets.device)
    return mixup_loss(log_probs, lengths, targets, target_lengths, Mix(partners, weights))


def smoothed(kind):
    def loss(log_probs, teacher, lengths, targets, target_lengths):
        u = uniform_labels(LABELS) if kind == "uniform" else unigram_labels(torch.tensor([1, 1, 3, 4]), LABELS)
        return smooth(ctc_loss(log_probs, lengths, targets, target_lengths), log_probs, lengths, 0.1, u)

    return loss


LOSSES = {
    "all": framewise(frames="all"),
    "blank_elim": framewise(frames="blank_elim", temperature=2.0),
    "dilate_2": framewise(frames="dilate_k", dilate=2),
    "nonblank_renorm": framewise(frames="nonblank_renorm"),
    "span": spans,
    "guided": guided,
    "sequence": sequences,
    "smoothing, uniform": smoothed("uniform"),
    "smoothing, unigram": smoothed("unigram"),
    "mixup": mixed,
    "consistency": consistency,
    "cr_ctc": consistent,
}
# these weigh an utterance by its target labels, and look at no other utterance
SEPARABLE = [name for name in LOSSES if name != "mixup" and not name.startswith("smoothing")]
TWO_SIDED = {"consistency", "cr_ctc"}


def outputs(shapes, seed, extra=0, dtype=torch.float64):
    """Log-probabilities of student and teacher, lengths, targets, target lengths; the teacher is often blank."""
    logits, *rest = batch_of(shapes, seed, extra, dtype)
    teacher = batch_of(shapes, seed + 1, extra, dtype)[0]
    teacher[..., 0] += 1
    return logits.log_softmax(-1), teacher.log_softmax(-1), *rest


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=20)
@given(shapes=utterances, seed=st.integers(0, 999), side=st.sampled_from(["student", "teacher", "both"]))
def test_neither_value_nor_gradient_knows_what_stands_in_the_padding(name, shapes, seed, side):
    student, teacher, *rest = outputs(shapes, seed, extra=3)
    outside = padding(student, rest[0])
    outcomes = []
    for filler in (0.0, 1e4, float("nan"), float("-inf")):
        log_probs, taught = student.clone(), teacher.clone()
        if side != "teacher":
            log_probs[outside] = filler
        if side != "student":
            taught[outside] = filler
        log_probs.requires_grad_()
        loss = LOSSES[name](log_probs, taught, *rest)
        loss.backward()
        assert not log_probs.grad[outside].any()
        outcomes.append((loss.item(), log_probs.grad))
    for value, gradient in outcomes[1:]:
        assert value == outcomes[0][0]
        assert torch.equal(gradient, outcomes[0][1])


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=20)
@given(shapes=utterances, seed=st.integers(0, 999), extra=st.integers(1, 9))
def test_neither_value_nor_gradient_knows_how_much_padding_there_is(name, shapes, seed, extra):
    student, teacher, *rest = outputs(shapes, seed, extra=extra)
    longest = int(rest[0].max())
    found = []
    for frames in (longest, longest + extra):
        log_probs = student[:, :frames].clone().requires_grad_()
        loss = LOSSES[name](log_probs, teacher[:, :frames], *rest)
        loss.backward()
        found.append((loss.item(), log_probs.grad[:, :longest]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12, abs=1e-15)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SEPARABLE)
@settings(deadline=None, max_examples=20)
@given(shapes=utterances, seed=st.integers(0, 999))
def test_a_batch_is_the_sum_of_its_utterances_each_alone(name, shapes, seed):
    student, teacher, lengths, targets, target_lengths = outputs(shapes, seed, extra=2)
    student.requires_grad_()
    loss = LOSSES[name](student, teacher, lengths, targets, target_lengths)
    loss.backward()
    total, start, tokens = 0.0, 0, int(target_lengths.sum())
    for row, (frames, own) in enumerate(shapes):
        one = slice(row, row + 1)
        alone = student.detach()[one, :frames].clone().requires_grad_()
        part = LOSSES[name](
            alone, teacher[one, :frames], lengths[one], targets[start : start + own], target_lengths[one]
        )
        part.backward()
        total += part.item() * own / tokens
        torch.testing.assert_close(student.grad[row, :frames], alone.grad[0] * own / tokens, rtol=1e-9, atol=1e-12)
        start += own
    assert loss.item() == pytest.approx(total, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in TWO_SIDED])
def test_the_gradient_is_that_of_finite_differences(name):
    _, teacher, *rest = outputs([(5, 2), (6, 1)], 3, extra=1)
    logits = batch_of([(5, 2), (6, 1)], 3, extra=1)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x.log_softmax(-1), teacher, *rest), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_gives_what_double_precision_gives(name):
    shapes = [(12, 3), (9, 2), (14, 1)]
    found = []
    for dtype in (torch.float32, torch.float64):
        student, teacher, *rest = outputs(shapes, 5, extra=2)
        student = student.to(dtype).requires_grad_()
        loss = LOSSES[name](student, teacher.to(dtype), *rest)
        loss.backward()
        assert loss.dtype == student.grad.dtype == dtype
        found.append((loss.double().detach(), student.grad.double()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_teacher_that_says_nothing_but_blank_is_no_error(name):
    student, teacher, *rest = outputs([(7, 2)], 1)
    teacher[..., 0] += 99
    student.requires_grad_()
    loss = LOSSES[name](student, teacher.log_softmax(-1), *rest)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()
    if name in ("blank_elim", "dilate_2", "nonblank_renorm", "span", "guided"):
        assert loss.item() == 0
        assert not student.grad.any()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - TWO_SIDED))
def test_no_gradient_flows_into_the_teacher(name):
    student, teacher, *rest = outputs([(7, 2), (9, 3)], 1)
    student.requires_grad_()
    teacher.requires_grad_()
    LOSSES[name](student, teacher, *rest).backward()
    assert teacher.grad is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", LOSSES)
def test_a_cuda_device_gives_what_the_cpu_gives(name):
    found = []
    for device in ("cpu", "cuda"):
        student, teacher, *rest = (value.to(device) for value in outputs([(12, 3), (9, 2), (14, 1)], 5, extra=2))
        student.requires_grad_()
        loss = LOSSES[name](student, teacher, *rest)
        loss.backward()
        found.append((loss.detach().cpu(), student.grad.cpu()))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def neutral(log_probs, teacher, lengths, targets, target_lengths):
    """Every loss at the setting where it should be CTC."""
    ctc = ctc_loss(log_probs, lengths, targets, target_lengths)
    tokens = int(target_lengths.sum())
    rows = torch.arange(len(lengths))
    one_best = Hypotheses(rows, targets, target_lengths, torch.linspace(-3, 3, len(lengths)))
    unmixed = Mix(rows, torch.ones(len(lengths), dtype=torch.float64))
    u = uniform_labels(LABELS)
    return {
        "guided": ctc + 0.0 * guided_loss(log_probs, teacher, lengths, tokens),
        "sequence": sequence_loss(log_probs, lengths, one_best, tokens).loss,
        "smoothing": smooth(ctc_loss(log_probs, lengths, targets, target_lengths), log_probs, lengths, 0.0, u),
        "mixup": mixup_loss(log_probs, lengths, targets, target_lengths, unmixed),
        "cr_ctc": consistent_ctc_loss(log_probs, log_probs, lengths, targets, target_lengths, 0.0),
    }


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=st.integers(0, 999), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_neutral_setting_is_ctc_to_the_last_bit(shapes, seed, dtype):
    student, teacher, *rest = outputs(shapes, seed, 2, dtype)
    student.requires_grad_()
    plain = ctc_loss(student, *rest)
    (expected,) = torch.autograd.grad(plain, student)
    for name, loss in neutral(student, teacher, *rest).items():
        assert loss.item() == plain.item(), name
        (gradient,) = torch.autograd.grad(loss, student)
        assert np.array_equal(gradient, expected), name
