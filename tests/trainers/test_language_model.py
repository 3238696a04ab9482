import gzip
import json

import kenlm
import pytest

from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.errors import LanguageModelError
from trainers.data.manifest import fingerprint, read_manifest
from trainers.decoding.language_model import build_language_model, language_model_key
from trainers.outcomes import HYPOTHESES
from trainers.pipeline import run_trial


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


def given(store, **files):
    return build_language_model(store, LanguageModelSettings(**files))


@pytest.fixture
def arpa(an4_model, tmp_path):
    """An ARPA file of AN4's 3-grams that came from elsewhere."""
    path = tmp_path / "elsewhere.arpa"
    path.write_bytes(an4_model.arpa.read_bytes())
    return path


@pytest.fixture(scope="session")
def binary(root):
    """AN4's 2-grams in KenLM's binary form, by build_binary of KenLM 0.3.0."""
    return root / "tests/data/kenlm/an4.2.binary"


@pytest.fixture
def words(tmp_path, an4_model):
    path = tmp_path / "words.txt"
    path.write_text("<unk>\n" + "".join(f"{word}\tW ER D\n" for word in an4_model.words) + "<s>\n\n")
    return path


def test_several_texts_make_the_model_of_one_after_another(store, text, tmp_path):
    lines = text.read_text().splitlines(keepends=True)
    parts = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    parts[0].write_text("".join(lines[:60]))
    parts[1].write_bytes(gzip.compress("".join(lines[60:]).encode()))
    assert build(store, parts).arpa.read_bytes() == build(store, text).arpa.read_bytes()
    assert build(store, parts).key != build(store, parts[::-1]).key


def test_pruning_makes_another_smaller_model_with_the_same_words(store, text):
    whole = build(store, text)
    settings = LanguageModelSettings(text=text, order=2, discount_fallback=True, prune=[0, 1])
    pruned = build_language_model(store, settings)
    assert pruned.key != whole.key
    assert pruned.arpa.stat().st_size < whole.arpa.stat().st_size
    assert pruned.words == whole.words


def test_an_arpa_file_of_one_s_own_is_taken_as_it_is_with_its_words_and_kept_by_its_content(store, arpa, an4_model):
    found = given(store, arpa=arpa)
    assert found.model.read_bytes() == arpa.read_bytes()
    assert found.words == an4_model.words
    moved = arpa.rename(arpa.with_name("moved.arpa"))
    assert given(store, arpa=moved).key == found.key
    packed = moved.with_suffix(".gz")
    packed.write_bytes(gzip.compress(moved.read_bytes()))
    assert given(store, arpa=packed).model.read_bytes() == found.model.read_bytes()
    moved.write_text(moved.read_text().replace("-0.", "-1.", 1))
    assert given(store, arpa=moved).key != found.key


def test_an_arpa_file_without_a_back_off_column_still_gives_its_words(store, arpa, an4_model):
    lines = arpa.read_text().split("\n")
    arpa.write_text("\n".join("\t".join(line.split("\t")[:2]) for line in lines))
    found = given(store, arpa=arpa)
    assert found.words == an4_model.words
    assert kenlm.Model(str(found.model)).order == 3


def test_a_binary_model_decodes_with_the_words_listed_for_it(store, binary, words, an4_model, root):
    found = given(store, binary=binary, words=words)
    assert found.words == an4_model.words
    assert found.model.read_bytes() == binary.read_bytes()
    arpa = build(store, root / "data/an4/lm/train_text.txt", fallback=False)
    for sentence in ("GO NINE", "ENTER SIX MAYBE"):
        assert kenlm.Model(str(found.model)).score(sentence) == kenlm.Model(str(arpa.model)).score(sentence)
    assert given(store, binary=binary, words=words).key == found.key
    words.write_text("GO\n")
    assert given(store, binary=binary, words=words).words == ("GO",)


def test_a_decoder_finds_the_same_with_the_arpa_file_and_its_binary_form(
    store, binary, words, root, make_spec, trained, needs_of
):
    scores = []
    for settings in (
        {"language_model.text": str(root / "data/an4/lm/train_text.txt")},
        {"language_model": {"binary": str(binary), "words": str(words)}},
    ):
        spec = make_spec(
            "decoding", settings, needs_of("decoding"), data={"train": "t", "dev": "d", "lm": str(settings)}
        )
        outcome = run_trial(spec, trained.store, lambda report: True)
        lines = (trained.store.path("outcomes", spec.key) / HYPOTHESES).read_text(encoding="utf-8").splitlines()
        scores.append([(one["hypothesis"], one["language"]) for one in map(json.loads, lines)])
    assert scores[0] == scores[1]
    assert outcome.decoder == "beam 50, an4.2.binary"


def test_a_binary_model_named_as_an_arpa_file_is_refused_with_the_right_name(store, binary):
    with pytest.raises(LanguageModelError, match=r"an4\.2\.binary is no ARPA file .* name it with binary: FILE"):
        given(store, arpa=binary)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GO ON\n", r"is no ARPA file: it begins with 'GO ON', not with \\data\\"),
        (b"", "is no ARPA file"),
        (b"mmap lm http://kheafield.com\xff\n", "is not UTF-8"),
        (b"\n\\data\\\nngram 1=1\n\n\\1-grams:\n-1\tGO\n", "is of order 1: KenLM loads .* orders 2 to 6"),
        (b"\\data\\\nngram 1=1\nngram 2=0\n\n\\1-grams:\n-1\t<unk>\t0\n\\2-grams:\n", "has no words"),
    ],
)
def test_a_file_that_is_no_arpa_model_is_refused_with_its_name_and_leaves_no_entry(store, tmp_path, content, words):
    path = tmp_path / "bad.arpa"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=rf"bad\.arpa.*{words}"):
        given(store, arpa=path)
    assert not [entry for entry in (store.root / "language_models").iterdir() if not entry.name.startswith(".")]
