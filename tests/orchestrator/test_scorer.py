"""A campaign that says how errors are counted: all that counts them does it so, and every record says it."""

import csv
import json
import re
from dataclasses import replace

import pytest

from orchestrator.home import Home
from orchestrator.planning import data_fingerprints
from orchestrator.record import TrialState
from orchestrator.sampling import Sampling
from search_spaces.errors import CampaignError
from search_spaces.reading import read_campaign
from search_spaces.scorers import NORMALISERS
from tests.orchestrator.running import run, working_in
from trainers.data.manifest import read_manifest
from trainers.outcomes import load_errors
from trainers.scoring import normalise
from trainers.scoring.scorer import PLAIN, find_scorer
from trainers.store import Store
from trainers.strategies import catalogue

SCORER = "sclite-1/fold-1"
DEV = ("GO STOP", "NO YES NO", "STOP", "YES GO", "GO GO", "STOP NO")
TEST = ("GO STOP", "NO YES NO", "STOP", "YES GO")
STUDIES = """\
  seeds:
    strategy: seeds
    trials: 2
  joint:
    strategy: ensemble
    needs: {pool: [baseline, seeds]}
    fixed: {ensemble.selection: all}
"""


def rewritten(manifest):
    """A manifest whose transcripts are in lower case, the first of them with another wording beside."""
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["text"] = line["text"].lower()
    lines[0]["text"] = f"{{ {lines[0]['text']} / nothing at all }}"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return manifest


@pytest.fixture(scope="module")
def ended(tmp_path_factory, make_tiny_campaign, write_features, tiny):
    """A folder with a campaign that folds case, and one that does not and has heard the same."""
    folder = tmp_path_factory.mktemp("scorer")
    dev = rewritten(write_features(folder / "dev/dev.jsonl", DEV, seed=5))
    test = rewritten(write_features(folder / "held_out/test.jsonl", TEST, seed=11))
    with working_in(folder):
        made = make_tiny_campaign(folder)
        made.rewrite(f"dev: {tiny.dev}}}", f"dev: {dev}, test: {test}}}\nscorer: {SCORER}")
        made.rewrite("epochs: 4", "epochs: 10")
        made.rewrite("200, ", "120, ")
        made.rewrite("bilstm", "conv")
        made.file.write_text(made.file.read_text(encoding="utf-8") + STUDIES, encoding="utf-8")
        run(made.read(), made.home)
        plain = made.file.read_text(encoding="utf-8").replace(f"scorer: {SCORER}\n", "")
        (folder / "plain.yaml").write_text(plain.replace("campaign: tiny", "campaign: plain"), encoding="utf-8")
        run(read_campaign(folder / "plain.yaml", catalogue()), made.home, ["baseline"])
    return folder


def stored(campaign="tiny"):
    return {record.name: record for record in Sampling(Home.here()).records(campaign)}


def test_every_trial_is_scored_by_the_campaign_s_scorer_and_its_record_says_so(folder):
    store, scorer = Store(folder / "mlruns/store"), find_scorer(SCORER)
    said = [utterance.text for utterance in read_manifest(folder / "dev/dev.jsonl")]
    for study in stored().values():
        for trial in (one for one in study.trials if one.state is TrialState.COMPLETE):
            found = load_errors(store.path("outcomes", trial.key))
            heard = [text for _, text in found.texts]
            score = scorer.score_set(said, heard)
            assert trial.outcome.scorer == SCORER
            assert trial.outcome.score == score
            assert found.errors.sum() == score.errors
            assert PLAIN.score_set(said, heard).errors > score.errors
            if trial.outcome.epochs and trial.outcome.best_epoch:
                assert trial.outcome.epochs[trial.outcome.best_epoch - 1].dev_wer == score.wer
    report = stored()["joint"].best.outcome.ensemble
    assert report.single_score.wer < 50


def test_without_one_words_are_compared_as_they_are(folder):
    for trial in (one for one in stored("plain")["baseline"].trials if one.state is TrialState.COMPLETE):
        assert trial.outcome.scorer == PLAIN.name
        assert trial.dev_wer >= 100


def test_the_test_set_the_leaderboard_and_the_report_follow(folder, call):
    status, said = call("finalize", "tiny", "baseline", "joint", "--yes")
    assert status == 0, said.err
    for name in ("baseline", "joint"):
        study = stored()[name]
        final = next(trial.final for trial in study.trials if trial.number == study.promoted)
        assert final.score.wer < 50
    status, said = call("leaderboard", "tiny", "--csv", "board.csv")
    assert status == 0, said.err
    rows = list(csv.DictReader((folder / "board.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["scorer"] for row in rows} == {SCORER}
    status, said = call("report", "tiny")
    assert status == 0, said.err
    assert f"scorer {SCORER}" in (folder / "report-tiny.html").read_text(encoding="utf-8")


def test_the_champion_is_evaluated_by_its_campaign_s_scorer_unless_another_is_named(folder, call):
    dev = folder / "dev/dev.jsonl"
    found = {}
    for words in ((), ("--scorer", PLAIN.name)):
        status, said = call("evaluate", dev, "--campaign", "tiny", "--json", *words)
        assert status == 0, said.err
        found[words] = json.loads(said.out)
    own, other = found.values()
    assert (own["scorer"], other["scorer"]) == (SCORER, PLAIN.name)
    assert own["wer"] == json.loads((folder / "mlruns/champions/tiny/provenance.json").read_text())["dev_wer"]
    assert other["wer"] > own["wer"]
    status, said = call("evaluate", dev, "--campaign", "tiny", "--scorer", "levenshtein-1/characters/fold-1")
    assert (status, re.match(r"CER [\d.]+ %: \d+ errors in \d+ characters, 6 utterances\n", said.out) is None) == (
        0,
        False,
    )
    status, said = call("evaluate", dev, "--campaign", "tiny", "--scorer", "wer")
    assert (status, "no scorer is called 'wer'; there are levenshtein-1, sclite-1" in said.err) == (2, True)


def test_a_study_that_has_begun_takes_no_other_scorer(folder, call):
    file = folder / "tiny.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(f"scorer: {SCORER}\n", ""), encoding="utf-8")
    status, said = call("run", "tiny/baseline")
    assert status == 2
    assert "scorer" in said.err


def test_the_plain_scorer_by_its_name_is_the_one_that_is_not_named(folder):
    campaign = read_campaign(folder / "plain.yaml", catalogue())
    named = replace(campaign, scorer=PLAIN.name)
    assert data_fingerprints(named) == data_fingerprints(campaign)
    assert "scorer" not in data_fingerprints(campaign)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("wer", "no scorer is called 'wer'; there are levenshtein-1, sclite-1, sclite_optional-1"),
        ("sclite-1/lower", "no normaliser is called 'lower'; there are fold-1, nfc-1"),
        ("levenshtein-1/characters", "a campaign is decided by its word error rate"),
        ("[sclite-1]", "no scorer is called"),
    ],
)
def test_a_scorer_that_does_not_exist_is_refused_with_its_line(folder, value, said):
    file = folder / "tiny.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(SCORER, value), encoding="utf-8")
    with pytest.raises(CampaignError) as error:
        read_campaign(file, catalogue())
    (mistake,) = error.value.mistakes
    assert (mistake.line, mistake.key) == (3, "scorer")
    assert said in mistake.message


def test_references_that_the_scorer_cannot_read_are_refused_before_anything_runs(folder, call):
    dev = folder / "dev/dev.jsonl"
    dev.write_text(dev.read_text(encoding="utf-8").replace('"stop"', '"{ stop"'), encoding="utf-8")
    (folder / "tiny.yaml").write_text(
        (folder / "tiny.yaml").read_text(encoding="utf-8").replace("campaign: tiny", "campaign: other"),
        encoding="utf-8",
    )
    (folder / "tiny.yaml").rename(folder / "other.yaml")
    status, said = call("run", "other/baseline")
    assert status == 2
    assert f"line 3: cannot be scored by {SCORER}: " in said.err
    assert "other" not in {path.name for path in (folder / "mlruns/champions").iterdir()}
    status, said = call("evaluate", dev, "--campaign", "tiny")
    assert (status, "line 3: cannot be scored" in said.err) == (2, True)


def test_every_normaliser_that_can_be_named_exists():
    assert sorted(normalise.NORMALISERS) == sorted(NORMALISERS)
