"""A dev set in two parts: what one of them chose, the other judges, from the campaign file to the report."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from orchestrator.confirmed import ranking
from orchestrator.gate import judge
from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard, read_evidence
from orchestrator.leaderboard.comparison import Ground, Verdict
from orchestrator.leaderboard.view import notes
from orchestrator.planning import data_fingerprints, definition_of
from orchestrator.promotion import best_of
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.sampling import Sampling
from orchestrator.seed_noise import seed_noise
from orchestrator.surface import errors_in
from search_spaces.axes.settings import overlay
from search_spaces.campaign import Campaign, DataFiles, PromotionSettings, StudyDefinition
from search_spaces.replicates import SEED
from tests.orchestrator.recognised import BASE, BETTER, WORDS, WORSE, recognised
from tests.orchestrator.running import run, working_in
from trainers.artifacts import Hypothesis, Score
from trainers.data.parting import part_of
from trainers.outcomes import FINALS, final_key, load_outcome, write_outcome
from trainers.scoring.bootstrap import bootstrap_difference
from trainers.spec import TUNING, TrialOutcome
from trainers.store import Store

SHARE = 0.5
TUNES = np.array([part_of(f"u{number}", SHARE) == "tuning" for number in range(len(BASE))])


def mixed(tuning, judging):
    """Errors by utterance: of one system where dev tunes, of another where it judges."""
    return np.where(TUNES, tuning, judging).tolist()


def pooled(errors, where):
    return Score(int(np.array(errors)[where].sum()), 0, 0, WORDS * int(where.sum()))


def judged_wer(errors):
    return pooled(errors, ~TUNES).wer


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def parted_study(store):
    """A study of complete trials that made these errors in the utterances of a set in two parts."""

    def make(name, *trials, seeds=()):
        records = []
        for number, errors in enumerate(trials):
            said = recognised(errors)
            scores = {"score": pooled(errors, TUNES), "selection": pooled(errors, ~TUNES)}
            outcome = TrialOutcome(**scores, scorer="levenshtein-1", decoder="beam 10", weights=10, checkpoint="k")
            hypotheses = [Hypothesis(one, text) for one, (_, text) in zip(said.ids, said.texts, strict=True)]
            references = {one: reference for one, (reference, _) in zip(said.ids, said.texts, strict=True)}
            folder = store.path("outcomes", f"{name}{number}")
            folder.mkdir(parents=True, exist_ok=True)
            write_outcome(folder, outcome, hypotheses, references, SHARE)
            settled = {"train": {"seed": seeds[number]}} if seeds else {}
            about = {"outcome": outcome, "key": f"{name}{number}", "settings": settled}
            records.append(TrialRecord("c", name, name, number, TrialState.COMPLETE, **about))
        chosen = StudyRecord("c", name, name, tuple(records)).best.number
        trials = tuple(replace(trial, promoted=trial.number == chosen) for trial in records)
        return StudyRecord("c", name, name, trials, chosen, chosen)

    return make


@pytest.fixture
def board(store, tmp_path):
    """The leaderboard of studies that are compared with that of name base."""

    def make(*studies):
        hypothesis = {"one": (1.0, 50.0)}
        definitions = {one.name: StudyDefinition(one.name, "x", hypothesis=hypothesis.get(one.name)) for one in studies}
        data = DataFiles(tmp_path, tmp_path, tuning=SHARE)
        campaign = Campaign("c", tmp_path / "c.yaml", data, {}, definitions, "base")
        evidence = read_evidence(studies, store.path("outcomes", "x").parent)
        return leaderboard(studies, None, campaign, evidence)

    return make


def row_of(table, study):
    return table.set_index("study").loc[study]


def test_the_leaderboard_shows_and_compares_the_part_that_chose_nothing(board, parted_study):
    base = parted_study("base", BASE)
    one = parted_study("one", mixed(WORSE, BASE), mixed(BASE, BETTER), *[mixed(WORSE, BETTER)] * 8)
    table = board(base, one)
    row = row_of(table, "one")
    assert (row["trial"], row["best_trial"]) == (1, 1)
    assert row["dev_wer"] == row["dev_corrected"] == pytest.approx(judged_wer(BETTER))
    assert row["tuning_wer"] == row["best_dev_wer"] == pytest.approx(pooled(BASE, TUNES).wer)
    assert (row["tuned_on"], row["judged_on"]) == (TUNES.sum(), (~TUNES).sum())
    assert (row["substitutions"], row["reference_words"]) == (pooled(BETTER, ~TUNES).errors, WORDS * (~TUNES).sum())
    assert row["compared_on"] == Ground.PART
    assert row["verdict"] == Verdict.BETTER
    words = np.full((~TUNES).sum(), WORDS)
    uncorrected = bootstrap_difference(np.array(BETTER)[~TUNES], np.array(BASE)[~TUNES], words)
    assert (row["difference"], row["p"]) == (uncorrected.points, uncorrected.p)
    assert row["decoder_tuned_on"] == "the part of dev that tunes"
    assert row["hypothesis_on"] == "dev, the part that judges"
    said = list(notes(table))
    assert f"tuned on {TUNES.sum()} utterances of dev, judged on the other {(~TUNES).sum()}" in " ".join(said)
    assert not any("which chose the systems" in sentence for sentence in said)


def test_who_wins_where_dev_judges_is_first_whatever_tuning_says(board, parted_study):
    ahead, behind = parted_study("base", mixed(WORSE, BETTER)), parted_study("one", mixed(BETTER, WORSE))
    assert list(board(ahead, behind)["study"]) == ["base", "one"]
    assert best_of([behind, ahead]).study == "base"


ERRORS = st.lists(st.integers(0, WORDS), min_size=len(BASE), max_size=len(BASE))


@given(ERRORS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_figure_of_a_row_but_that_of_tuning_depends_on_the_part_that_tunes(board, parted_study, tuning):
    base = parted_study("base", BASE)
    tables = [board(base, parted_study("one", mixed(errors, BETTER))) for errors in (BASE, tuning)]
    one, other = (row_of(table, "one").drop(["tuning_wer", "best_dev_wer"]) for table in tables)
    assert one.equals(other)


@given(ERRORS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_chooses_within_a_study_is_told_nothing_of_the_part_that_judges(parted_study, store, judging):
    found = [parted_study("one", BASE, mixed(BETTER, errors), WORSE) for errors in (BASE, judging)]
    assert [study.result.number for study in found] == [1, 1]
    told = errors_in(store)(found[1].trials[1])
    assert told.errors.tolist() == np.array(BETTER)[TUNES].tolist()


def test_the_gate_compares_where_dev_judges_and_corrects_nothing(parted_study, store):
    outcomes, level = store.path("outcomes", "x").parent, PromotionSettings()
    old = parted_study("old", BASE)
    lucky = parted_study("lucky", mixed(BETTER, BASE), WORSE)
    decision = judge(lucky.result, old.result, [old, lucky], outcomes, level)
    assert not decision.passes
    assert f"dev WER {judged_wer(BASE):.1f} % against {judged_wer(BASE):.1f} %" in decision.reason
    good = parted_study("good", mixed(BASE, BETTER), *[WORSE] * 20)
    decision = judge(good.result, old.result, [old, good], outcomes, level)
    assert decision.passes
    assert decision.facts["points"] == pytest.approx(judged_wer(BETTER) - judged_wer(BASE))


def test_the_noise_of_seeds_is_that_of_the_figures_that_are_shown(parted_study, board):
    runs = [mixed(BASE, BETTER), mixed(WORSE, BASE), mixed(BETTER, WORSE)]
    study = parted_study("one", *runs, seeds=(1, 2, 3))
    assert seed_noise(study).wers == tuple(judged_wer(errors) for errors in runs)
    table = board(parted_study("base", *runs[::-1], seeds=(4, 5, 6)), study)
    row = row_of(table, "one")
    assert row["compared_on"] == Ground.CONFIRMED
    assert row["difference"] == 0.0
    assert row["dev_mean"] == pytest.approx(np.mean([judged_wer(errors) for errors in runs]))


def test_configurations_are_ranked_by_their_runs_where_dev_tunes(parted_study):
    found = mixed(BETTER, WORSE), mixed(WORSE, BETTER)
    study = parted_study("one", *found, found[0], found[0], found[1], found[1], seeds=(1, 1, 2, 3, 2, 3))
    trials = []
    for trial, origin in zip(study.trials, (0, 1, 0, 0, 1, 1), strict=True):
        again = {} if trial.number < 2 else {"repeats": origin, "overrides": {SEED: trial.seed}}
        trials.append(replace(trial, settings=overlay(trial.settings, {"train.lr": float(origin)}), **again))
    ranked = ranking(replace(study, trials=tuple(trials)))
    assert [one.origin.number for one in ranked] == [0, 1]
    assert [one.mean for one in ranked] == [pytest.approx(pooled(errors, TUNES).wer) for errors in found]


BAD = {
    "none of it": ("0", "is the share of dev that tunes while the rest judges, such as 0.5; got 0"),
    "no share": ("1.0", "got 1.0"),
    "a word": ("half", "got 'half'"),
    "a switch": ("true", "got True"),
    "too little": ("0.001", "a share of 0.001 leaves none of the 4 utterances of"),
    "too much": ("0.999", "with a word to judge; take another share, or leave it out"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_share_that_parts_nothing_is_refused_with_its_line(name, command, tiny_campaign, call):
    value, message = BAD[name]
    tiny_campaign.rewrite("}\nunits", f",\n  tuning: {value}}}\nunits")
    status, said = call(command, "tiny")
    assert status == 2
    told = " ".join((said.out + said.err).split())
    assert "line 3: data.tuning: " in told
    assert message in told
    assert "Traceback" not in told


def test_a_campaign_that_does_not_part_dev_has_the_keys_that_it_had(tiny_campaign):
    plain = tiny_campaign.read()
    tiny_campaign.rewrite("}\nunits", ", tuning: 0.25}\nunits")
    parted = tiny_campaign.read()
    known, share = data_fingerprints(plain), {TUNING: "0.25"}
    assert set(known) == {"train", "dev", "language_model"}
    assert data_fingerprints(parted) == known | share
    for name, study in plain.studies.items():
        told, other = definition_of(plain, study, known), definition_of(parted, parted.studies[name], known | share)
        assert TUNING not in json.dumps(told)
        assert other == told | {"data": told["data"] | share}


def test_another_share_is_another_study_and_it_is_said(tiny_campaign, call):
    assert call("run", "tiny/baseline", "--trials", "1", "--set", "train.epochs=1")[0] == 0
    tiny_campaign.rewrite("}\nunits", ", tuning: 0.25}\nunits")
    status, said = call("run", "tiny/baseline", "--trials", "2", "--set", "train.epochs=1")
    assert status == 2
    assert TUNING in said.err


STUDIES = """
  baseline:
    strategy: baseline
    trials: 3
    confirm: {top: 2, seeds: 2}
    space: {train.lr: {float: [1e-3, 3e-2], log: true}}
  self_distillation:
    strategy: self_distillation
    needs: {teacher: baseline}
    inherit: baseline
    fixed: {distillation.generations: 2}
  decoding:
    strategy: decoding
    needs: {posteriors: [baseline, self_distillation]}
    trials: 12
    space: {decoding.alpha: {float: [0.0, 2.0]}, decoding.beta: {float: [-1.0, 3.0]}}
  ensemble:
    strategy: ensemble
    needs: {pool: [baseline, self_distillation]}
    fixed: {ensemble.tune: true}
    trials: 2
    space: {decoding.alpha: {float: [0.0, 1.0]}}
"""


DEV = ("GO STOP", "NO", "YES NO", "STOP GO NO", "GO", "NO YES", "STOP", "YES GO", "NO STOP", "GO NO YES")


@pytest.fixture(scope="module")
def tales(tmp_path_factory, make_tiny_campaign, write_features, write_manifest):
    """Two folders in which a campaign has run: with what was said, and with other words where dev judges."""
    folders = []
    for said in ("", "GO GO GO NO"):
        folder = tmp_path_factory.mktemp("tale")
        with working_in(folder):
            tiny = make_tiny_campaign(folder)
            dev = write_features(folder / "dev.jsonl", DEV, seed=3)
            entries = [json.loads(line) for line in dev.read_text(encoding="utf-8").splitlines()]
            for entry in entries:
                if part_of(entry["feature_filepath"].removesuffix(".npy"), SHARE) == "selection":
                    entry["text"] = said or entry["text"]
            write_manifest(dev, entries)
            text = tiny.file.read_text(encoding="utf-8").replace(str(tiny.read().data.dev), "dev.jsonl")
            write_features(folder / "held_out/test.jsonl", ["GO STOP", "NO YES NO", "STOP"], seed=11)
            text = text[: text.index("baseline: baseline")] + "baseline: baseline\n\nstudies:" + STUDIES
            tiny.file.write_text(
                text.replace("}\nunits", f", test: held_out/test.jsonl, tuning: {SHARE}}}\nunits", 1), encoding="utf-8"
            )
            run(tiny.read(), tiny.home, workers=1)
        folders.append(folder)
    return folders


def stored(folder):
    with working_in(folder):
        return {study.name: study for study in Sampling(Home.here()).records("tiny")}


def chosen(study):
    """All that was decided in a study, and what decided it."""
    trials = []
    for one in study.trials:
        outcome = one.outcome
        report = outcome.ensemble and replace(
            outcome.ensemble, selection=None, members=[m.name for m in outcome.ensemble.members]
        )
        reports = [replace(epoch, seconds=0.0) for epoch in outcome.epochs]
        decided = (one.state, one.params, one.overrides, one.needs, one.repeats, one.promoted)
        trials.append((*decided, outcome.score, outcome.best_epoch, reports, outcome.decoder, report))
    return study.promoted, study.advice, trials


@pytest.mark.parametrize("name", ["baseline", "self_distillation", "decoding", "ensemble"])
def test_no_choice_of_a_study_depends_on_what_is_said_where_dev_judges(name, tales):
    one, other = (stored(folder)[name] for folder in tales)
    assert chosen(one) == chosen(other)
    assert [trial.judged_wer for trial in one.trials] != [trial.judged_wer for trial in other.trials]
    for study, folder in zip((one, other), tales, strict=True):
        told = optuna.load_study(study_name=f"tiny/{name}", storage=f"sqlite:///{folder}/mlruns/optuna.db").trials
        assert [trial.value for trial in told] == [trial.dev_wer for trial in study.trials]


def test_every_command_that_tells_a_figure_tells_that_of_the_part_that_judges(tales, call, monkeypatch):
    folder = tales[0]
    studies = stored(folder)
    tuned = sum(part_of(f"features/dev_{number}", SHARE) == "tuning" for number in range(len(DEV)))
    parts = f"{tuned} utterances tune, the other {len(DEV) - tuned} judge what they chose"
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder / "mlruns"))
    monkeypatch.chdir(folder)
    assert parts in " ".join(call("plan", "tiny")[1].out.split())
    rows = {row["study"]: row for row in json.loads(call("leaderboard", "tiny", "--json")[1].out)}
    for name, study in studies.items():
        result = study.result
        assert rows[name]["dev_wer"] == pytest.approx(result.judged_wer, abs=0.01)
        assert rows[name]["tuning_wer"] == pytest.approx(result.dev_wer, abs=0.01)
        assert (rows[name]["tuned_on"], rows[name]["judged_on"]) == (tuned, len(DEV) - tuned)
    single = studies["ensemble"].result.outcome.ensemble
    assert rows["ensemble"]["best_single_wer"] == pytest.approx(single.single_judged.wer, abs=0.01)
    assert call("report", "tiny", "--out", "page.html")[0] == 0
    page = " ".join((folder / "page.html").read_text(encoding="utf-8").split())
    assert f"{tuned} utterances of the development set, drawn by a hash of their ids, made every choice" in page
    assert f"judged on the other {len(DEV) - tuned}, whose figures these are" in page
    client = MlflowClient(Home.here().tracking_uri)
    trial = studies["decoding"].result
    shown = client.get_run(trial.run_id).data.metrics
    assert (shown["dev_wer"], shown["selection_wer"]) == (trial.dev_wer, trial.judged_wer)
    assert client.get_run(studies["decoding"].run_id).data.metrics["promoted_selection_wer"] == trial.judged_wer
    text = Path(client.download_artifacts(trial.run_id, "hypotheses.csv")).read_text(encoding="utf-8")
    listed = list(csv.DictReader(text.splitlines()))
    assert sum(row["part"] == "tuning" for row in listed) == tuned


def test_on_the_test_set_nothing_is_parted(tales, tmp_path, call, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(tales[0], folder, symlinks=True)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder / "mlruns"))
    monkeypatch.chdir(folder)
    status, said = call("finalize", "tiny", "--yes", "--json")
    assert status == 0, said.err
    for row in json.loads(said.out):
        result = stored(folder)[row["study"]].trials[row["trial"]]
        kept = load_outcome(folder / "mlruns/store" / FINALS / final_key(result.final.test_set, result.key))
        assert (kept.score, kept.selection) == (result.final.score, None)
        assert kept.judged.words == 6
        assert row["dev_wer"] == result.judged_wer
