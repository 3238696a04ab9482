from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import DataError
from trainers.artifacts import Utterance
from trainers.data.matrix_sets import MatrixSet
from trainers.emission import load_posteriors
from trainers.exchange.given_posteriors import arrange, survey, write_split

HALF = np.log(np.full((3, 2), 0.5))


def set_of(matrices, **about):
    many = list(matrices.values())
    return MatrixSet(Path("dev.npz"), tuple(matrices), len(many), many.__getitem__, **about)


def utterances(*names):
    return [Utterance(name, f"text of {name}", Path(f"{name}.wav"), "audio") for name in names]


@given(st.permutations(["a/u", "a/v", "b/w", "b/x"]), st.booleans())
def test_every_utterance_finds_its_own_matrix_by_its_id_or_the_last_part_of_it(order, short):
    matrices = {(name[2:] if short else name): np.full((1, 2), index) for index, name in enumerate(order)}
    found = arrange(set_of(matrices), utterances("a/u", "a/v", "b/w", "b/x"), "dev.jsonl")
    assert [order[number] for number in found.numbers] == list(found.ids) == ["a/u", "a/v", "b/w", "b/x"]
    assert found.notes == ()


def test_last_parts_that_are_not_alone_name_nothing():
    with pytest.raises(
        DataError,
        match=r"lacks 2 of the 2 utterances of dev\.jsonl: a/u, b/u; instead it has u",
    ):
        arrange(set_of({"u": HALF}), utterances("a/u", "b/u"), "dev.jsonl")
    with pytest.raises(DataError, match=r"lacks 1 of the 2 utterances.*: u"):
        arrange(set_of({"a/u": HALF}), utterances("a/u", "u"), "dev.jsonl")


def test_what_is_missing_is_named_and_what_is_too_much_is_left_out_aloud():
    names = [f"u{number}" for number in range(8)]
    with pytest.raises(
        DataError,
        match="lacks 7 of the 8 utterances of dev: u1, u2, u3, u4, u5 and 2 more; instead it has z",
    ):
        arrange(set_of({"u0": HALF, "z": HALF}), utterances(*names), "dev")
    found = arrange(set_of({"z": HALF, "u1": HALF, "u0": HALF}), utterances("u0", "u1"), "dev")
    assert found.numbers == (2, 1)
    assert found.notes == ("dev.npz: 1 utterances are not in dev and left out: z",)


def test_a_set_without_ids_is_in_the_order_of_the_manifest_if_its_references_do_not_object():
    bare = MatrixSet(Path("dev.npz"), (), 2, [HALF, HALF].__getitem__)
    found = arrange(bare, utterances("a", "b"), "dev")
    assert found.numbers == (0, 1)
    assert "taken in the order of dev" in found.notes[0]
    with pytest.raises(DataError, match="has 2 utterances without ids, and dev has 3"):
        arrange(bare, utterances("a", "b", "c"), "dev")
    told = MatrixSet(bare.place, (), 2, bare.read, references=("text of  a", "text of c"))
    with pytest.raises(DataError, match=r"utterance 1 has the reference 'text of c', where dev has 'text of b' \(b\)"):
        arrange(told, utterances("a", "b"), "dev")


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [(HALF, "log-probs"), (np.exp(HALF), "probs"), (HALF + 1, "logits"), (HALF.astype(np.float16), "log-probs")],
)
def test_the_kind_is_found_out(matrix, kind):
    assert survey(arrange(set_of({"a": matrix}), utterances("a"), "dev"), 2, None).kind == kind


def test_a_frame_that_does_not_fit_the_kind_is_named_with_its_sum():
    bad = np.exp(HALF.copy())
    bad[2] = [0.6, 0.7]
    mixed = arrange(set_of({"a": np.exp(HALF), "b": bad}), utterances("a", "b"), "dev")
    with pytest.raises(
        DataError, match=r"(?s)5 of 6 frames are probs, the others not.*--kind.*b: sums to 1\.3 in frame 2"
    ):
        survey(mixed, 2, None)
    assert survey(mixed, 2, "logits").kind == "logits"
    plain = arrange(set_of({"a": HALF}), utterances("a"), "dev")
    with pytest.raises(DataError, match=r"(?s)declared as probs.*a: has a negative value in frame 0"):
        survey(plain, 2, "probs")
    with pytest.raises(DataError, match=r"(?s)declared as log-probs.*a: sums to 2 in frame 0"):
        survey(arrange(set_of({"a": HALF * 0}), utterances("a"), "dev"), 2, "log-probs")


def test_columns_that_are_not_the_labels_are_refused():
    given_as = arrange(set_of({"a": HALF, "b": np.zeros((1, 3))}), utterances("a", "b"), "dev")
    with pytest.raises(DataError, match="b: has 3 columns, and there are 2 labels"):
        survey(given_as, 2, None)


def test_a_split_is_written_in_its_order_with_its_columns_put_in_place(tmp_path):
    first, second = np.log([[0.1, 0.2, 0.7]]), np.log([[0.3, 0.3, 0.4], [0.5, 0.25, 0.25]])
    found = arrange(set_of({"b": second, "a": first}), utterances("a", "b"), "dev")
    write_split(tmp_path / "dev", found, survey(found, 3, None), [2, 0, 1], ["", "x", "y"])
    read = load_posteriors(tmp_path / "dev")
    assert (read.ids, read.labels, read.offsets.tolist()) == (("a", "b"), ("", "x", "y"), [0, 1, 3])
    np.testing.assert_allclose(np.exp(read[0]), [[0.7, 0.1, 0.2]], rtol=1e-5)
    np.testing.assert_allclose(np.exp(read[1]), [[0.4, 0.3, 0.3], [0.25, 0.5, 0.25]], rtol=1e-5)
