import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.decoding import DecodingSettings
from tests.trainers.made_members import ALPHABETS, member
from trainers.artifacts import Hypothesis
from trainers.combining import evidence
from trainers.combining.evidence import Evidence
from trainers.combining.members import Member, Pool
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.text_scores import TextScorer
from trainers.losses.ctc import utterance_losses
from trainers.scoring.references import References
from trainers.scoring.wer import score_words

UNITS = tuple(ALPHABETS)


def made_pool(weights=(1.0, 0.5, 2.0), units=("char", "word", "mixed")):
    names = "abcdef"
    return Pool.of([member(names[k], k, units[k], weight) for k, weight in enumerate(weights)])


def lengths_of(texts):
    """A language model of the tests' own."""
    return np.array([-1.7 * len(text) - 0.3 for text in texts])


@pytest.mark.parametrize("units", UNITS)
def test_a_text_is_scored_in_the_units_of_the_member_as_torch_scores_it(units):
    pool = Pool.of([member("a", 3, units)])
    (one,) = pool.members
    texts = [["", "A", "B A", "AB AB B"], ["C", "AB"], ["BA BA BA BA BA BA BA BA BA BA BA BA"]]
    for index, values in enumerate(Evidence().acoustic(one, texts)):
        for text, value in zip(texts[index], values.tolist(), strict=True):
            labels = one.alphabet.encode(text) if text else []
            if labels is None:
                assert value == -np.inf
                continue
            frames = torch.from_numpy(one.posteriors[index]).double()[None]
            counts = (
                torch.tensor([frames.shape[1]]),
                torch.tensor(labels, dtype=torch.int64),
                torch.tensor([len(labels)]),
            )
            assert value == pytest.approx(-float(utterance_losses(frames, *counts)), abs=1e-9)


@pytest.mark.parametrize("units", UNITS)
def test_a_text_is_written_as_its_alphabet_writes_it(root, units):
    texts = [utterance.text for utterance in read_manifest(root / "data/an4/dev.jsonl")]
    alphabet = Alphabet.of(units, texts[::2])
    write = evidence._Writer(alphabet)
    for text in texts:
        labels = alphabet.encode(text)
        assert write(text) == (labels if labels is None else tuple(labels))
    assert any(write(text) is None for text in texts) or units == "char"
    assert write("") == ()


def test_no_likelihood_is_computed_twice(monkeypatch):
    asked = []

    def counted(frames, targets, blank):
        asked.extend(tuple(labels) for lists in targets for labels in lists)
        return log_likelihoods(frames, targets, blank)

    log_likelihoods = evidence.log_likelihoods
    monkeypatch.setattr(evidence, "log_likelihoods", counted)
    scores = Evidence(lengths_of)
    first = scores.table(made_pool(), 4)
    computed = len(asked)
    assert computed == np.isfinite(first.acoustic).sum()
    again = scores.table(made_pool(weights=(0.3, 1.0, 0.0)), 4)
    assert len(asked) == computed
    rows = [list(first.texts).index(text) for text in again.texts[: again.starts[1]]]
    assert (first.acoustic[:2, rows] == again.acoustic[:, : again.starts[1]]).all()
    scores.table(Pool.of([*made_pool().members, member("z", 9)]), 4)
    assert len(asked) > computed


def test_a_table_holds_every_proposal_once_and_who_made_it():
    pool = made_pool()
    table = Evidence(lengths_of).table(pool, 2)
    for index, name in enumerate(pool.ids):
        part = slice(table.starts[index], table.starts[index + 1])
        lists = [{one.text for one in each.hypotheses[name][:2]} for each in pool.members]
        assert list(table.texts[part]) == sorted(set().union(*lists))
        assert table.proposed[:, part].tolist() == [[text in own for text in table.texts[part]] for own in lists]
    assert table.words.tolist() == [len(text.split()) for text in table.texts]
    assert table.language.tolist() == lengths_of(table.texts).tolist()


weights = st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.5]), min_size=3, max_size=3).filter(any)
points = st.lists(st.tuples(weights, st.floats(0, 3), st.floats(-5, 5)), min_size=1, max_size=6)


@given(points)
def test_the_best_hypothesis_is_that_of_the_formula_at_every_point(asked):
    pool = made_pool()
    table = Evidence(lengths_of).table(pool, 4)
    many = table.best([each for each, _, _ in asked], [a for _, a, _ in asked], [b for _, _, b in asked])
    for found, (shares, alpha, beta) in zip(many, asked, strict=True):
        assert found.tolist() == table.best(shares, alpha, beta).tolist()
        for index in range(len(pool.ids)):
            part = range(table.starts[index], table.starts[index + 1])
            scores = {}
            for place in part:
                score = alpha * table.language[place] + beta * table.words[place]
                for row, share in enumerate(shares):
                    score += share * table.acoustic[row, place] if share else 0.0
                if any(table.proposed[row, place] for row, share in enumerate(shares) if share):
                    scores[place] = score
            if max(scores.values()) > -np.inf:
                assert scores[found[index]] == pytest.approx(max(scores.values()), abs=1e-9)


def test_where_no_member_can_write_all_those_stay_that_the_most_weight_can_write():
    texts = {"u0": "C", "u1": "A", "u2": "A"}  # the one member writes no C, the other has too few frames for two words
    lists = [
        {name: [Hypothesis(name, text)] for name, text in each.items()} for each in (texts, {**texts, "u0": "AB BA"})
    ]
    word, short = member("w", 1, "word"), member("s", 2, "char", frames=(2, 9, 9))
    pool = Pool.of(
        [
            Member("w", word.posteriors, word.alphabet, 1.0, None, lists[0]),
            Member("s", short.posteriors, short.alphabet, 0.4, None, lists[1]),
        ]
    )
    table = Evidence().table(pool, 1)
    assert table.texts[: table.starts[1]] == ("AB BA", "C")
    assert np.isneginf(table.acoustic[:, :2]).tolist() == [[True, False], [False, True]]  # s before w
    assert table.texts[table.best([0.4, 1.0], 0.0, 0.0)[0]] == "AB BA"
    assert table.texts[table.best([1.0, 0.4], 0.0, 0.0)[0]] == "C"


def test_errors_are_those_of_the_scorer():
    table = Evidence().table(made_pool(), 4)
    references = ["A B", "", "AB C BA"]
    owners = np.repeat(np.arange(3), np.diff(table.starts))
    wanted = [
        score_words(references[k].split(), text.split()).errors for k, text in zip(owners, table.texts, strict=True)
    ]
    named = References(dict(zip(table.ids, references, strict=True)))
    assert table.errors(named).tolist() == wanted
    middle = References({table.ids[1]: references[1]})
    assert table.errors(middle).tolist() == [one if k == 1 else 0 for k, one in zip(owners, wanted, strict=True)]


@pytest.mark.parametrize("units", ["char", "marked_char"])
def test_texts_are_scored_as_the_decoder_scores_them(root, an4_model, units):
    rng = np.random.default_rng(0)
    texts = [utterance.text for utterance in read_manifest(root / "data/an4/dev.jsonl")]
    alphabet = Alphabet.of(units, texts)
    logits = 3 * rng.standard_normal((60, len(alphabet)))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    settings = DecodingSettings(method="beam", alpha=0.7, beta=1.3, unknown_offset=-4.0, token_min_logp=-6.0)
    with BeamDecoder(alphabet, an4_model) as decoder:
        found = decoder.n_best(log_probs, settings, 40)
    assert any(word not in an4_model.words for one in found for word in one.text.split())
    scores = TextScorer(an4_model, settings.unknown_offset)([one.text for one in found])
    for one, score in zip(found, scores.tolist(), strict=True):
        assert one.language == pytest.approx(0.7 * score + 1.3 * len(one.text.split()), abs=1e-3)


def test_silence_costs_the_end_of_the_sentence_alone(an4_model):
    scorer = TextScorer(an4_model)
    empty, one = scorer(["", "YES"])
    assert -20 < empty < 0
    assert one != empty
    assert scorer([""])[0] == empty
