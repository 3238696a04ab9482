"""The language models of a campaign: which there are, when they are made, and what is said of them beforehand."""

import pytest

from orchestrator.dry_run import dry_run
from orchestrator.language_models import language_models
from orchestrator.planning import data_fingerprints, make_spec
from orchestrator.preparation import prepare
from orchestrator.promotion import Champions
from orchestrator.sampling import Claim
from orchestrator.start import Start
from orchestrator.tracking import Tracker
from search_spaces.errors import LanguageModelError, StudyMismatchError
from tests.orchestrator.running import run
from trainers.decoding.beam import load_ngrams
from trainers.decoding.kneser_ney import estimate
from trainers.decoding.language_model import LanguageModelFiles
from trainers.store import Store

SPACE = "space: {decoding.alpha: {float: [0.0, 1.0]}, decoding.beta: {float: [0.0, 2.0]}}"
ORDERS = "sampler: grid\n    space: {language_model.order: {choice: [2, 3, 4]}}"


@pytest.fixture
def rewrite(tiny_campaign):
    """Give the tiny campaign another language model, or its decoding study another space."""

    def write(model=None, space=None):
        text = tiny_campaign.file.read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith("language_model:"))
        if model is not None:
            tiny_campaign.rewrite(line, f"language_model: {model}")
        if space is not None:
            tiny_campaign.rewrite(SPACE, space)
        return tiny_campaign.read()

    return write


@pytest.fixture
def say():
    return lambda *event: None


def kept(store):
    return sorted(path.name for path in (store.root / "language_models").glob("[!.]*"))


def test_every_order_that_is_searched_is_made_beforehand_and_once(rewrite, store):
    campaign = rewrite(space=ORDERS)
    said = []
    models = language_models(campaign, campaign.studies["decoding"])
    assert [model.order for model in models] == [2, 3, 4]
    for _ in range(2):
        prepare(campaign, ["decoding"], store, lambda *event: said.append(event))
    folders = [store.path("language_models", key) for key in kept(store)]
    assert sorted(load_ngrams(folder / "lm.arpa").order for folder in folders) == [2, 3, 4]
    assert [event for event in said if event[0] == "language model"][:4] == [
        ("language model", done, 3) for done in range(4)
    ]


def test_a_condition_on_an_order_leaves_the_campaign_s_own_too(rewrite):
    campaign = rewrite(
        space="space: {decoding.beam_width: {choice: [5, 9]}, "
        "language_model.order: {choice: [3], when: {decoding.beam_width: 9}}}"
    )
    assert [model.order for model in language_models(campaign, campaign.studies["decoding"])] == [3, 2]


def test_a_study_that_decodes_without_a_language_model_has_none(tiny_campaign):
    campaign = tiny_campaign.read()
    assert language_models(campaign, campaign.studies["baseline"]) == []


def test_the_order_of_the_language_model_is_searched_from_end_to_end(rewrite, home):
    campaign = rewrite(space=ORDERS)
    plan = dry_run(campaign, list(campaign.studies), [], 1)
    assert {f"{order}-gram language model" for order in (2, 3, 4)} <= set(plan.made)
    records, _ = run(campaign, home)
    study = next(record for record in records if record.name == "decoding")
    beams = [trial for trial in study.trials if trial.outcome.decoder != "greedy"]
    assert {trial.params["language_model.order"] for trial in beams} == {2, 3, 4}
    store = Store(home.store)
    for trial in beams:
        order = trial.params["language_model.order"]
        assert trial.outcome.decoder == f"beam 50, {order}-gram"
        files = LanguageModelFiles(store.path("language_models", trial.outcome.language_model), "")
        assert load_ngrams(files.model).order == order
    assert len(kept(store)) == len({trial.outcome.language_model for trial in beams}) == 3
    champions = Champions(home, Tracker(home))
    folder = champions.promote(next(trial for trial in beams if trial.params["language_model.order"] == 4))
    assert load_ngrams(LanguageModelFiles(folder, "").model).order == 4


def test_words_of_the_transcripts_that_a_model_lacks_are_said_with_a_hint_at_the_case(rewrite, tmp_path, store, say):
    text = tmp_path / "lower.txt"
    text.write_text("go stop\nyes GO\n", encoding="utf-8")
    campaign = rewrite(f"{{text: {text}, order: 2, discount_fallback: true}}")
    (warning,) = prepare(campaign, ["decoding"], store, say).warnings
    assert "words of the training transcripts" in warning
    assert "are unknown to the language model (2-gram): " in warning
    assert all(word in warning for word in ("STOP", "YES", "NO"))
    assert "It has 2 of these 3 in another case: write texts and transcripts in one case" in warning


def test_a_model_with_every_word_gives_no_warning(tiny_campaign, store, say):
    assert prepare(tiny_campaign.read(), ["decoding"], store, say).warnings == ()


def test_a_model_of_one_s_own_that_kenlm_cannot_load_is_refused_before_any_trial(rewrite, tmp_path, store, say):
    path = tmp_path / "own.arpa"
    path.write_text("\\data\\\nngram 1=9\nngram 2=1\n\n\\1-grams:\n-1\tGO\n", encoding="utf-8")
    with pytest.raises(LanguageModelError, match=r"own\.arpa cannot be loaded: "):
        prepare(rewrite(f"{{arpa: {path}}}"), ["decoding"], store, say)


def test_a_list_of_words_that_is_another_model_s_is_refused_and_one_with_strangers_is_said(
    rewrite, tmp_path, store, say
):
    path, words = tmp_path / "own.arpa", tmp_path / "words.txt"
    estimate(["GO STOP", "YES NO", "GO"], 2, discount_fallback=True).write(path)
    words.write_text("go\nstop\n", encoding="utf-8")
    campaign = rewrite(f"{{arpa: {path}, words: {words}}}")
    with pytest.raises(LanguageModelError, match=r"own\.arpa has none of the words in .*words\.txt"):
        prepare(campaign, ["decoding"], store, say)
    words.write_text("GO\nSTOP\nYES\nNO\nMAYBE\n", encoding="utf-8")
    (warning,) = prepare(campaign, ["decoding"], store, say).warnings
    assert f"1 of 5 words of {words} (20.0 %) are unknown to {path}: MAYBE" in warning


def test_every_file_of_a_language_model_is_in_the_fingerprint_of_its_trials_and_no_place_is(
    rewrite, tiny_campaign, tmp_path
):
    for name in ("a", "b", "words"):
        (tmp_path / name).write_text(f"GO {name}\n", encoding="utf-8")
    keys = []

    def key(model):
        campaign = rewrite(model)
        data = data_fingerprints(campaign)
        spec = make_spec(campaign, campaign.studies["decoding"], Claim(0, {}, {}, ""), Start(), data)
        training = make_spec(campaign, campaign.studies["baseline"], Claim(0, {}, {}, ""), Start(), data)
        assert "language_model" not in training.data
        keys.append(spec.key)
        return spec.key

    for model in ("{text: a}", "{text: b}", "{text: [a, b]}", "{text: [b, a]}", "{text: a, prune: [0, 1]}"):
        key(model)
    for model in ("{arpa: a}", "{arpa: a, words: words}", "{binary: b, words: words}", "{}"):
        key(model)
    assert len(set(keys)) == len(keys)
    before = key("{binary: a, words: words}")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert key("{binary: moved, words: words}") == before
    (tmp_path / "words").write_text("GO\nmore\n", encoding="utf-8")
    assert key("{binary: moved, words: words}") != before


def test_another_text_is_another_study(rewrite, tiny_campaign, home, tmp_path):
    campaign = tiny_campaign.read()
    run(campaign, home, workers=1, budget=1)
    (tmp_path / "more.txt").write_text("GO NO\n", encoding="utf-8")
    campaign = rewrite("{text: [text.txt, more.txt], order: 2, discount_fallback: true}")
    with pytest.raises(StudyMismatchError, match="decoding"):
        run(campaign, home, workers=1, budget=1)
