import kenlm
import pytest

from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.errors import LanguageModelError
from trainers.data.manifest import fingerprint, read_manifest
from trainers.decoding.language_model import build_language_model, language_model_key


@pytest.fixture
def text(tmp_path, an4_text):
    """The first hundred sentences of AN4's training text."""
    path = tmp_path / "text.txt"
    path.write_text("".join(an4_text.read_text().splitlines(keepends=True)[:100]))
    return path


def build(store, text, order=2, fallback=True):
    return build_language_model(store, LanguageModelSettings(text=text, order=order, discount_fallback=fallback))


def test_a_model_is_made_once(store, text):
    first = build(store, text)
    made = first.arpa.stat().st_mtime_ns
    second = build(store, text)
    assert second == first
    assert second.arpa.stat().st_mtime_ns == made
    assert [path.name for path in sorted(first.folder.iterdir())] == ["lm.arpa", "words.txt"]


def test_kenlm_loads_it_with_the_order_that_was_asked_for(store, text):
    for order in (2, 3):
        assert kenlm.Model(str(build(store, text, order).arpa)).order == order


def test_the_list_of_words_is_that_of_the_text_and_every_one_is_known_to_the_model(an4_model, an4_text):
    words = an4_model.words
    assert set(words) - {"<s>", "</s>", "<unk>"} == set(an4_text.read_text().split())
    assert len(set(words)) == len(words)
    model = kenlm.Model(str(an4_model.arpa))
    assert all(word in model for word in words if word != "<unk>")


def test_the_key_depends_on_the_text_and_the_order_and_not_on_the_place(store, text, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text.read_bytes())
    key = build(store, text).key
    assert build(store, copy).key == key
    assert build(store, text, 3).key != key
    assert language_model_key(LanguageModelSettings(text=text, order=2)) != key
    copy.write_text(copy.read_text() + "GO\n")
    assert build(store, copy).key != key


def test_without_a_text_the_transcripts_of_the_training_set_are_it(store, tiny, tmp_path):
    copy = tmp_path / "copy.txt"
    utterances = read_manifest(tiny.train)
    copy.write_text("".join(f"{utterance.text}\n" for utterance in utterances), encoding="utf-8")
    settings = LanguageModelSettings(order=2, discount_fallback=True)
    content = fingerprint(utterances)
    found = build_language_model(store, settings, tiny.train, content)
    assert found.arpa.read_bytes() == build(store, copy).arpa.read_bytes()
    assert found.key == language_model_key(settings, content) != language_model_key(settings, "other")
    with pytest.raises(LanguageModelError, match="needs a text"):
        build_language_model(store, settings)


def test_the_last_sentence_counts_with_and_without_its_newline(store, text, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_text(text.read_text().removesuffix("\n"))
    assert build(store, copy).arpa.read_bytes() == build(store, text).arpa.read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GO \xff ON\n", "is not UTF-8"),
        (b"", "no words"),
        (b"\n\n", "no words"),
        (b"GO ON\n", "discount"),
        (b"GO <s> ON\n", "<s>"),
    ],
)
def test_a_text_that_no_model_can_be_made_of_is_refused_and_leaves_no_entry(store, tmp_path, content, words):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=words):
        build(store, path, fallback=False)
    assert not [entry for entry in (store.root / "language_models").iterdir() if not entry.name.startswith(".")]


def test_a_missing_text_is_refused_with_its_name(store, tmp_path):
    with pytest.raises(LanguageModelError, match=r"nothing\.txt cannot be read: No such file"):
        build(store, tmp_path / "nothing.txt")
