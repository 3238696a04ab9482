import io
import zipfile

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.errors import DataError, UserError
from trainers.data.matrix_sets import open_matrices

MATRICES = {
    "a": np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
    "b/c": np.array([[1.0, 0.0]], np.float32),
}
BLOCK = np.concatenate(list(MATRICES.values()))
PACKED = {"probs": BLOCK, "lengths": np.array([2, 1]), "ids": np.array(list(MATRICES))}


def write(folder, form):
    """The matrices in a format; where they lie."""
    place = folder / f"dev.{form}"
    match form:
        case "npy":
            place = folder / "dev"
            for name, matrix in MATRICES.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                np.save(place / f"{name}.npy", matrix)
        case "ark" | "text.ark":
            kaldiio.save_ark(str(place), MATRICES, text=form == "text.ark")
        case "scp":
            kaldiio.save_ark(str(folder / "some.ark"), MATRICES, scp=str(place))
        case "packed.npz":
            np.savez(place, **PACKED)
        case "npz":
            np.savez(place, **MATRICES)
    return place


@pytest.mark.parametrize("form", ["npy", "ark", "text.ark", "scp", "packed.npz", "npz"])
def test_every_format_gives_the_matrices_by_their_ids(tmp_path, form):
    found = open_matrices(write(tmp_path, form))
    read = {name: found.read(number) for number, name in enumerate(found.ids)}
    assert sorted(read) == sorted(MATRICES)
    assert found.count == 2
    for name, matrix in MATRICES.items():
        np.testing.assert_array_equal(read[name], matrix)


def test_an_npz_may_say_more_and_may_lack_ids(tmp_path):
    place = tmp_path / "dev.npz"
    np.savez(place, logits=BLOCK, lengths=[2, 1], labels=["", "x"], references=["one", "two"])
    found = open_matrices(place)
    assert (found.ids, found.kind, found.labels, found.references) == ((), "logits", ("", "x"), ("one", "two"))
    np.testing.assert_array_equal(found.read(1), MATRICES["b/c"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"probs": BLOCK}, "has probs and no 'lengths'"),
        ({"labels": np.array(["", "x"])}, "holds no array"),
        ({**PACKED, "logits": BLOCK}, "needs exactly one of log_probs, logits, probs, posteriors"),
        ({"lengths": [2, 1], "scores": BLOCK}, "beside; has lengths, scores"),
        ({**PACKED, "lengths": [2, 2]}, r"has shape \(3, 2\) and the lengths add up to 4 frames"),
        ({**PACKED, "lengths": [4, -1]}, "'lengths' needs a whole number for every utterance"),
        ({**PACKED, "lengths": [2.0, 1.0]}, "'lengths' needs a whole number"),
        ({**PACKED, "ids": np.array(["a"])}, "has 1 ids and 2 lengths"),
        ({**PACKED, "ids": np.array(["a", "a"])}, "two matrices of utterance a"),
        ({**PACKED, "ids": np.array([1, 2])}, "'ids' needs a list of texts"),
        ({**PACKED, "labels": np.array([["", "x"]])}, "'labels' needs a list of texts"),
        ({**PACKED, "labels": np.array(["", None], object)}, "allow_pickle=False"),
        ({"a": np.array([object()])}, "allow_pickle=False"),
    ],
)
def test_an_npz_that_does_not_hold_together_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "dev.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_matrices(tmp_path / "dev.npz")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((0, 2), np.float32), "has no frames"),
        (np.zeros((2, 0), np.float32), "has no labels"),
        (np.zeros(3, np.float32), r"shape \(frames, labels\); has float32 \(3,\)"),
        (np.zeros((1, 3, 2), np.float32), r"write array\[0\]"),
        (np.zeros((2, 2), complex), "has complex128"),
        (np.array([["a", "b"]]), "has <U1"),
        (np.array([[0.1, 0.9], [0.5, np.nan]]), "has nan in frame 1, column 1"),
        (np.array([[np.inf, 0.0]]), "has inf in frame 0, column 0"),
        (np.array([[0.0, -np.inf]]), "has -inf in frame 0, column 1, the logarithm of nothing"),
    ],
)
def test_a_matrix_that_no_network_gives_is_refused_when_it_is_read(tmp_path, matrix, message):
    np.save(tmp_path / "a.npy", matrix)
    with pytest.raises(ValueError, match=message):
        open_matrices(tmp_path).read(0)


def test_places_of_no_format_are_refused(tmp_path):
    for name, message in (("none.npz", "no such file"), ("", "holds no .npy file"), ("x.pt", "is none of .npz")):
        (tmp_path / "x.pt").touch()
        with pytest.raises(DataError, match=message):
            open_matrices(tmp_path / name)
    (tmp_path / "dev.scp").write_text("a nowhere.ark:2\nb |cat\n")
    with pytest.raises(DataError, match=r"(?s)2 mistakes.*no such file.*is a command"):
        open_matrices(tmp_path / "dev.scp")
    np.save(tmp_path / "dev.npz", BLOCK)
    (tmp_path / "dev.npz.npy").rename(tmp_path / "dev.npz")
    with pytest.raises(DataError, match=r"dev\.npz"):
        open_matrices(tmp_path / "dev.npz")


def test_a_pickle_is_never_read(tmp_path):
    (tmp_path / "dev.ark").write_bytes(b"a PKL\x80\x04K\x01.")
    with pytest.raises(DataError, match="no matrix starts there"):
        open_matrices(tmp_path / "dev.ark")
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        open_matrices(tmp_path).read(0)


def bytes_of(form, folder):
    place = write(folder, form)
    return (place / "a.npy" if form == "npy" else place).read_bytes()


@pytest.mark.parametrize("form", ["npy", "ark", "text.ark", "packed.npz", "npz"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_broken_file_is_refused_in_words_or_read_and_never_crashes(tmp_path_factory, form, data):
    folder = tmp_path_factory.mktemp("fuzz")
    whole = bytearray(bytes_of(form, folder))
    for _ in range(data.draw(st.integers(0, 3), label="changes")):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = whole[: data.draw(st.integers(0, len(whole)), label="length")]
    place = folder / "dev" if form == "npy" else folder / f"dev.{form}"
    (place / "a.npy" if form == "npy" else place).write_bytes(cut)
    try:
        found = open_matrices(place)
        for number in range(found.count):
            matrix = found.read(number)
            assert matrix.ndim == 2
            assert np.isfinite(matrix).all()
    except (UserError, ValueError) as refused:
        message = str(refused)
    else:
        message = "could be read"
    assert message


def test_a_member_that_cannot_be_unpacked_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, BLOCK)
    with zipfile.ZipFile(tmp_path / "dev.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probs.npy", buffer.getvalue()[:-3])
    with pytest.raises(DataError, match=r"dev\.npz"):
        open_matrices(tmp_path / "dev.npz")
