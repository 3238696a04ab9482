import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.trainers.random_batches import LABELS, batch_of, utterances
from trainers.losses.ctc import ctc_loss
from trainers.losses.guided import guided_loss
from trainers.losses.sequence import Hypotheses, sequence_loss
from trainers.losses.span import span_loss, token_spans
from trainers.losses.targets import frames_needed, take_targets

seeds = st.integers(0, 999)
temperatures = st.sampled_from([0.5, 1.0, 3.0])


def teacher_of(shapes, seed):
    logits = batch_of(shapes, seed, extra=2)[0]
    logits[..., 0] += 0.7
    return logits.log_softmax(-1)


def saying(rows):
    """Log-probabilities of a teacher whose likeliest labels are these."""
    return functional.one_hot(torch.tensor(rows), 4).double().log_softmax(-1)


def test_a_span_is_a_run_of_one_label_within_one_utterance():
    teacher = saying([[1, 1, 0, 1, 2, 2, 2, 0], [2, 0, 0, 3, 3, 3, 3, 3]])
    inside, span = token_spans(teacher, torch.tensor([7, 5]))
    assert inside.int().tolist() == [[1, 1, 0, 1, 1, 1, 1, 0], [1, 0, 0, 1, 1, 0, 0, 0]]
    assert span.tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4]
    # the last frame of one utterance and the first of the next say the same, and are two spans
    assert token_spans(saying([[0, 1], [1, 0]]), torch.tensor([2, 2]))[1].tolist() == [0, 1]


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds, temperature=temperatures)
def test_the_loss_of_spans_and_its_gradient_are_those_of_the_formula(shapes, seed, temperature):
    student, lengths, _, _ = batch_of(shapes, seed, extra=2)
    teacher = teacher_of(shapes, seed + 1)
    student.requires_grad_()
    loss = span_loss(student, teacher, lengths, 3, temperature)
    log_s = (student / temperature).log_softmax(-1).detach()
    p_t = (teacher / temperature).softmax(-1)
    expected, gradient = 0.0, torch.zeros_like(student)
    for row, length in enumerate(lengths.tolist()):
        best = teacher[row].argmax(-1).tolist()
        start = 0
        while start < length:
            end = start + 1
            while end < length and best[end] == best[start]:
                end += 1
            if best[start] != 0:
                q, mean = p_t[row, start:end].mean(0), log_s[row, start:end].mean(0)
                expected += temperature**2 * (q * (q.log() - mean)).sum().item() / 3
                gradient[row, start:end] = temperature * (log_s[row, start:end].exp() - q) / (end - start) / 3
            start = end
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    (found,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(found, gradient.detach(), rtol=1e-9, atol=1e-12)


def test_spans_are_met_by_a_student_that_is_their_mean_and_by_no_other():
    teacher = batch_of([(3, 1)], 0)[0]
    teacher[..., 2] += 9
    teacher = teacher.log_softmax(-1)
    mean = teacher.exp().mean(1, keepdim=True).log().expand(-1, 3, -1)
    assert abs(span_loss(mean, teacher, torch.tensor([3]), 1).item()) < 1e-12
    assert span_loss(teacher, teacher, torch.tensor([3]), 1).item() > 1e-9


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds)
def test_guidance_and_its_gradient_are_those_of_the_formula(shapes, seed):
    logits, lengths, _, _ = batch_of(shapes, seed, extra=2)
    teacher = teacher_of(shapes, seed + 1)
    logits.requires_grad_()
    loss = guided_loss(logits.log_softmax(-1), teacher, lengths, 3)
    p = logits.detach().softmax(-1)
    expected, gradient = 0.0, torch.zeros_like(p)
    for row, length in enumerate(lengths.tolist()):
        for frame in range(length):
            k = int(teacher[row, frame].argmax())
            if k:
                expected -= p[row, frame, k].item() / 3
                one_hot = functional.one_hot(torch.tensor(k), LABELS)
                gradient[row, frame] = -p[row, frame, k] * (one_hot - p[row, frame]) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12)


def test_targets_are_taken_in_the_order_asked_for_and_as_often():
    targets, lengths = torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([2, 0, 3, 1])
    found, taken = take_targets(targets, lengths, torch.tensor([2, 1, 3, 0, 3]))
    assert found.tolist() == [3, 4, 5, 6, 1, 2, 6]
    assert taken.tolist() == [3, 0, 1, 2, 1]
    assert take_targets(targets, lengths, torch.tensor([1]))[0].tolist() == []


def test_a_target_needs_a_frame_more_for_every_label_that_is_repeated():
    # the last label of one target and the first of the next are equal, which costs neither a frame
    targets, lengths = torch.tensor([1, 1, 1, 1, 2, 1, 3, 3]), torch.tensor([3, 0, 3, 2])
    assert frames_needed(targets, lengths).tolist() == [5, 0, 3, 3]
    assert frames_needed(targets[:0], torch.tensor([0, 0])).tolist() == [0, 0]


def hypotheses_of(lists):
    """Of (labels, score) for each utterance, the ranks of all utterances mingled."""
    flat = sorted((rank, row, *one) for row, many in enumerate(lists) for rank, one in enumerate(many))
    return Hypotheses(
        torch.tensor([row for _, row, _, _ in flat]),
        torch.tensor([label for _, _, labels, _ in flat for label in labels]),
        torch.tensor([len(labels) for _, _, labels, _ in flat]),
        torch.tensor([score for *_, score in flat], dtype=torch.float64),
    )


labels = st.lists(st.integers(1, LABELS - 1), max_size=6)
n_best = st.lists(st.tuples(labels, st.floats(-50, 50)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(lists=st.lists(n_best, min_size=1, max_size=3), seed=seeds)
def test_the_loss_of_sequences_is_the_weighted_ctc_of_those_that_fit(lists, seed):
    shapes = [(3 + 2 * row, 1) for row in range(len(lists))]
    logits, lengths, _, _ = batch_of(shapes, seed)
    log_probs = logits.log_softmax(-1)
    expected, left_out, without = 0.0, 0, 0
    for row, many in enumerate(lists):
        alone = log_probs[row : row + 1, : lengths[row]]
        fitting = []
        for one, score in many:
            arguments = (lengths[row : row + 1], torch.tensor([one], dtype=torch.int64), torch.tensor([len(one)]))
            value = functional.ctc_loss(alone.transpose(0, 1), arguments[1], *arguments[::2], reduction="sum")
            if value.isfinite():
                fitting.append((value, score))
        left_out += len(many) - len(fitting)
        without += not fitting
        weights = torch.tensor([score for _, score in fitting], dtype=torch.float64).softmax(0)
        expected += sum(float(w * value) for w, (value, _) in zip(weights, fitting, strict=True)) / 7
    found = sequence_loss(log_probs, lengths, hypotheses_of(lists), 7)
    assert found.loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (found.left_out, found.without) == (left_out, without)


def test_the_gradient_of_sequences_is_that_of_their_losses_one_by_one():
    logits, lengths, _, _ = batch_of([(6, 2)], 0)
    log_probs = logits.log_softmax(-1).requires_grad_()
    best = [([1, 2], 0.0), ([2], 0.0), ([1] * 6, 9.0)]
    (found,) = torch.autograd.grad(sequence_loss(log_probs, lengths, hypotheses_of([best]), 1).loss, log_probs)
    halves = [
        len(one) * ctc_loss(log_probs, lengths, torch.tensor(one), torch.tensor([len(one)])) / 2 for one, _ in best[:2]
    ]
    (expected,) = torch.autograd.grad(sum(halves), log_probs)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_scores_count_only_in_relation_to_those_of_the_same_utterance(shift):
    logits, lengths, _, _ = batch_of([(6, 2), (7, 1)], 0)
    log_probs = logits.log_softmax(-1)
    first, second = [([1, 2], 0.0), ([2], 1.0), ([1] * 7, 800.0)], [([3], -2.0), ([], 0.5)]
    moved = [(labels, score + shift) for labels, score in first]
    expected, found = (
        sequence_loss(log_probs, lengths, hypotheses_of(x), 3) for x in ([first, second], [moved, second])
    )
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-9)


def test_a_batch_without_a_hypothesis_that_fits_has_no_loss_and_no_gradient():
    log_probs = batch_of([(2, 1), (1, 1)], 0)[0].log_softmax(-1)
    log_probs[1, 1:] = float("nan")
    log_probs.requires_grad_()
    hypotheses = hypotheses_of([[([1, 1], 0.0)], [([1, 2], 0.0), ([3, 2, 1], 1.0)]])
    loss, left_out, without = sequence_loss(log_probs, torch.tensor([2, 1]), hypotheses, 2)
    loss.backward()
    assert (loss.item(), left_out, without) == (0.0, 3, 2)
    assert not log_probs.grad.any()
