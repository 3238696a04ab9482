import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from search_spaces.axes.distillation import DistillationSettings
from tests.trainers.random_batches import batch_of, padding, utterances
from trainers.losses.ctc import ctc_loss
from trainers.losses.distillation import distillation_loss, frame_distillation_loss, select_frames


@settings(deadline=None, max_examples=50)
@given(shapes=utterances, extra=st.integers(0, 5), seed=st.integers(0, 999))
def test_ctc_is_the_sum_of_each_utterance_alone_a_token(shapes, extra, seed):
    logits, lengths, targets, target_lengths = batch_of(shapes, seed, extra)
    found = ctc_loss(logits.log_softmax(-1), lengths, targets, target_lengths)
    expected, start = 0.0, 0
    for row, (frames, tokens) in enumerate(shapes):
        alone = logits[row : row + 1, :frames].log_softmax(-1)
        labels = targets[start : start + tokens]
        expected += ctc_loss(alone, lengths[row : row + 1], labels, target_lengths[row : row + 1]).item() * tokens
        start += tokens
    assert found.item() == pytest.approx(expected / sum(tokens for _, tokens in shapes), rel=1e-10)


@settings(deadline=None, max_examples=50)
@given(shapes=utterances, extra=st.integers(0, 5), seed=st.integers(0, 999))
def test_ctc_and_its_gradient_do_not_know_what_stands_in_the_padding(shapes, extra, seed):
    logits, lengths, targets, target_lengths = batch_of(shapes, seed, extra)
    outcomes = []
    for filler in (0.0, -3.0, float("nan")):
        log_probs = logits.log_softmax(-1)
        log_probs[padding(logits, lengths)] = filler
        log_probs.requires_grad_()
        loss = ctc_loss(log_probs, lengths, targets, target_lengths)
        loss.backward()
        assert not log_probs.grad[padding(logits, lengths)].any()
        outcomes.append((loss.item(), log_probs.grad))
    for value, gradient in outcomes[1:]:
        assert value == outcomes[0][0]
        assert torch.equal(gradient, outcomes[0][1])


def test_ctc_is_the_logarithm_of_the_probability_of_all_paths():
    # two frames, one label: the paths a-, -a and aa
    probabilities = torch.tensor([[[0.6, 0.4], [0.3, 0.7]]], dtype=torch.float64)
    loss = ctc_loss(probabilities.log(), torch.tensor([2]), torch.tensor([1]), torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(0.4 * 0.3 + 0.6 * 0.7 + 0.4 * 0.7))


def test_a_transcript_that_does_not_fit_has_an_infinite_loss_that_is_not_hidden():
    log_probs = torch.full((1, 2, 3), 1 / 3).log()
    loss = ctc_loss(log_probs, torch.tensor([2]), torch.tensor([1, 1]), torch.tensor([2]))
    assert loss.item() == math.inf


teaching = {
    "shapes": utterances,
    "temperature": st.sampled_from([0.5, 1.0, 2.0, 5.0]),
    "frames": st.sampled_from(["all", "blank_elim", "dilate_k", "nonblank_renorm"]),
    "seed": st.integers(0, 999),
}


@settings(deadline=None, max_examples=50)
@given(**teaching)
def test_the_gradient_of_distillation_is_the_difference_of_the_softened_distributions(
    shapes, temperature, frames, seed
):
    student, lengths, _, _ = batch_of(shapes, seed, extra=2)
    teacher = batch_of(shapes, seed + 1, extra=2)[0].log_softmax(-1)
    weights = select_frames(teacher, lengths, frames)
    tokens = sum(tokens for _, tokens in shapes)
    student.requires_grad_()
    distillation_loss(student, teacher, weights, temperature, tokens).backward()
    softened = [(logits / temperature).softmax(-1) for logits in (student.detach(), teacher)]
    expected = temperature * (softened[0] - softened[1]) * weights[..., None] / tokens
    torch.testing.assert_close(student.grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_of_distillation_is_that_of_its_finite_differences(temperature):
    shapes = [(4, 1), (2, 1)]
    student, lengths, _, _ = batch_of(shapes, 1, extra=1)
    teacher = batch_of(shapes, 2, extra=1)[0].log_softmax(-1)
    weights = select_frames(teacher, lengths, "all")
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, weights, temperature, 2), (student,))


@settings(deadline=None, max_examples=50)
@given(**teaching)
def test_distillation_is_zero_with_a_gradient_of_zero_where_the_student_is_the_teacher(
    shapes, temperature, frames, seed
):
    teacher, lengths, _, _ = batch_of(shapes, seed)
    weights = select_frames(teacher, lengths, frames)
    # a constant added to the logits of a frame changes no probability
    student = (teacher + 3.0).requires_grad_()
    loss = distillation_loss(student, teacher.log_softmax(-1), weights, temperature, 3)
    loss.backward()
    assert abs(loss.item()) < 1e-12
    assert student.grad.abs().max() < 1e-12


@settings(deadline=None, max_examples=50)
@given(**teaching, nobody=st.sampled_from(["student", "teacher", "both"]))
def test_distillation_and_its_gradient_do_not_know_what_stands_in_the_padding(
    shapes, temperature, frames, seed, nobody
):
    clean, lengths, _, _ = batch_of(shapes, seed, extra=3)
    taught = batch_of(shapes, seed + 1, extra=3)[0].log_softmax(-1)
    outside = padding(clean, lengths)
    outcomes = []
    for filler in (0.0, 1e4, float("nan")):
        student, teacher = clean.clone(), taught.clone()
        if nobody != "teacher":
            student[outside] = filler
        if nobody != "student":
            teacher[outside] = filler
        student.requires_grad_()
        loss = distillation_loss(student, teacher, select_frames(teacher, lengths, frames), temperature, 3)
        loss.backward()
        assert not student.grad[outside].any()
        outcomes.append((loss.item(), student.grad))
    for value, gradient in outcomes[1:]:
        assert value == outcomes[0][0]
        assert torch.equal(gradient, outcomes[0][1])


def test_distillation_is_torch_s_own_divergence_of_log_probabilities():
    student, lengths, _, _ = batch_of([(6, 2), (9, 3)], 0)
    teacher = batch_of([(6, 2), (9, 3)], 1)[0].log_softmax(-1)
    valid = ~padding(student, lengths)
    expected = functional.kl_div(student.log_softmax(-1)[valid], teacher[valid], reduction="sum", log_target=True) / 5
    found = distillation_loss(student, teacher, select_frames(teacher, lengths, "all"), 1.0, 5)
    assert found.item() == pytest.approx(expected.item(), rel=1e-10)


def test_a_high_temperature_keeps_the_gradient_s_size():
    student, lengths, _, _ = batch_of([(12, 3)], 0)
    teacher = batch_of([(12, 3)], 1)[0].log_softmax(-1)
    weights = select_frames(teacher, lengths, "all")
    norms = []
    for temperature in (10.0, 40.0):
        leaf = student.clone().requires_grad_()
        distillation_loss(leaf, teacher, weights, temperature, 3).backward()
        norms.append(leaf.grad.norm().item())
    # towards the limit of equal logits the gradient stops depending on the temperature
    assert norms[1] == pytest.approx(norms[0], rel=0.1)


def test_no_gradient_flows_into_the_teacher():
    student, lengths, _, _ = batch_of([(6, 2)], 0)
    teacher = batch_of([(6, 2)], 1)[0].requires_grad_()
    student.requires_grad_()
    weights = select_frames(teacher.detach(), lengths, "all")
    distillation_loss(student, teacher, weights, 2.0, 2).backward()
    assert teacher.grad is None
    assert student.grad.any()


def test_frames_where_the_teacher_says_blank_are_left_out_only_if_asked():
    teacher = torch.tensor([[[0.0, -1, -2], [-1, 0, -2], [-2, -1, 0], [-1, 0, -2]], [[-1, 0, -2]] * 4])
    lengths = torch.tensor([3, 2])
    assert select_frames(teacher, lengths, "all").tolist() == [[1, 1, 1, 0], [1, 1, 0, 0]]
    assert select_frames(teacher, lengths, "blank_elim").tolist() == [[0, 1, 1, 0], [1, 1, 0, 0]]


def test_a_batch_without_a_frame_that_counts_has_no_distillation_loss():
    teacher = torch.zeros(1, 4, 3)
    teacher[..., 0] = 5
    student = torch.randn(1, 4, 3, requires_grad=True)
    loss = distillation_loss(student, teacher, select_frames(teacher, torch.tensor([4]), "blank_elim"), 2.0, 3)
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def peaked(labels):
    """A teacher that is fairly sure of these labels, (1, frames, 4)."""
    return functional.one_hot(torch.tensor([labels]), 4).double().mul(2).log_softmax(-1)


@pytest.mark.parametrize(
    ("dilate", "expected"),
    [(1, [1, 1, 1, 0, 0, 1, 1, 0, 0]), (2, [1, 1, 1, 1, 1, 1, 1, 0, 0]), (8, [1, 1, 1, 1, 1, 1, 1, 0, 0])],
)
def test_dilation_takes_the_valid_frames_beside_those_that_count(dilate, expected):
    # the last two frames are padding: they are not taken, and nothing spreads from them
    teacher = peaked([0, 2, 0, 0, 0, 0, 1, 0, 3])
    assert select_frames(teacher, torch.tensor([7]), "dilate_k", dilate).tolist() == [expected]
    nothing = select_frames(peaked([0, 0, 0, 0, 1]), torch.tensor([3]), "dilate_k", dilate)
    assert not nothing.any()


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=st.integers(0, 999), dilate=st.integers(1, 8))
def test_dilation_is_the_distance_to_a_frame_that_counts(shapes, seed, dilate):
    teacher, lengths, _, _ = batch_of(shapes, seed, extra=2)
    teacher[..., 0] += 1.5
    core = select_frames(teacher, lengths, "blank_elim")
    found = select_frames(teacher, lengths, "dilate_k", dilate)
    for row, length in enumerate(lengths.tolist()):
        places = core[row].nonzero()[:, 0].tolist()
        near = [float(any(abs(t - p) <= dilate for p in places)) for t in range(length)]
        assert found[row].tolist() == near + [0.0] * (teacher.shape[1] - length)


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=st.integers(0, 999), temperature=st.sampled_from([1.0, 3.0]))
def test_without_the_blank_the_divergence_is_that_of_the_other_labels_among_themselves(shapes, seed, temperature):
    student, lengths, _, _ = batch_of(shapes, seed, extra=2)
    teacher = batch_of(shapes, seed + 1, extra=2)[0].log_softmax(-1)
    student.requires_grad_()
    loss = frame_distillation_loss(student, teacher, lengths, 3, frames="nonblank_renorm", temperature=temperature)
    loss.backward()
    s, t = ((x.detach() / temperature).softmax(-1)[..., 1:] for x in (student, teacher))
    s, t = s / s.sum(-1, keepdim=True), t / t.sum(-1, keepdim=True)
    weights = select_frames(teacher, lengths, "blank_elim")
    expected = temperature**2 * (weights * (t * (t.log() - s.log())).sum(-1)).sum() / 3
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    assert not student.grad[..., 0].any()
    closed = temperature * (s - t) * weights[..., None] / 3
    torch.testing.assert_close(student.grad[..., 1:], closed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frames", ["all", "blank_elim", "dilate_k"])
def test_the_selection_and_the_divergence_in_one_step_are_the_two_in_turn(frames):
    student, lengths, _, _ = batch_of([(9, 2), (6, 1)], 0)
    teacher = batch_of([(9, 2), (6, 1)], 1)[0].log_softmax(-1)
    teacher[..., 0] += 1
    weights = select_frames(teacher, lengths, frames, 2)
    found = frame_distillation_loss(student, teacher, lengths, 3, frames=frames, dilate=2, temperature=2.0)
    assert found.item() == distillation_loss(student, teacher, weights, 2.0, 3).item()


@pytest.mark.parametrize("values", [{"dilate": 0}, {"dilate": 9}, {"dilate": 1.0}, {"frames": "dilate"}])
def test_frames_that_cannot_be_selected_are_refused(values):
    with pytest.raises(ValidationError, match=next(iter(values))):
        DistillationSettings.model_validate(values)
