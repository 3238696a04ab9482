"""Decoding studies whose trials race, and sweeps whose workers are killed, with the real Optuna and MLflow."""

import os
import signal

import optuna
import pytest
from mlflow import MlflowClient
from numpy.random import default_rng

from orchestrator import study_run
from orchestrator.engines import local
from orchestrator.engines.local import LocalEngine
from orchestrator.engines.local import _run as run_job
from orchestrator.leaderboard import leaderboard
from orchestrator.promotion import best_of
from orchestrator.record import TrialState
from orchestrator.runner import Runner
from orchestrator.sampling import Sampling
from tests.orchestrator.running import Notes, processes, run, working_in
from trainers import racing

WORDS = ("GO", "STOP", "YES", "NO")
UTTERANCES = 48
TRIALS = 13
GRID = """\
  decoding:
    strategy: decoding
    needs: {posteriors: baseline}
    sampler: grid
    pruner: PRUNER
    space: {decoding.alpha: {choice: [0.0, 0.5, 1.0]}, decoding.beta: {choice: [-30.0, -20.0, 0.0, 1.0]}}
"""


RACE = "{kind: race, seconds: 0}"


@pytest.fixture(scope="module")
def make_sweep(make_tiny_campaign, write_features, tiny):
    """A campaign whose decoding study is a grid over a dev set of 48 utterances, with a pruner."""
    rng = default_rng(3)
    sentences = [" ".join(rng.choice(WORDS, rng.integers(2, 5))) for _ in range(UTTERANCES)]
    dev = write_features(tiny.folder / "races" / "dev.jsonl", sentences, seed=4)

    def make(folder, pruner):
        made = make_tiny_campaign(folder)
        text = made.file.read_text(encoding="utf-8").replace(f"dev: {tiny.dev}", f"dev: {dev}")
        text = text.replace("epochs: 4", "epochs: 12").replace("trials: 2", "trials: 1")
        text = text[: text.index("  self_distillation:")] + GRID.replace("PRUNER", pruner)
        made.file.write_text(text, encoding="utf-8")
        return made.read(), made.home

    return make


@pytest.fixture
def sweep(make_sweep, tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda pruner: make_sweep(tmp_path, pruner)


def undisturbed(make_sweep, folder, pruner, workers, batch):
    """Home and decoding study of a campaign that nobody disturbed; it is only looked at."""
    with pytest.MonkeyPatch.context() as patch, working_in(folder):
        patch.setattr(study_run, "_BATCH", batch)
        campaign, home = make_sweep(folder, pruner)
        (_, study), _ = run(campaign, home, workers=workers)
    return home, study


@pytest.fixture(scope="module")
def raced(make_sweep, tmp_path_factory):
    return undisturbed(make_sweep, tmp_path_factory.mktemp("raced"), RACE, workers=1, batch=1)


@pytest.fixture(scope="module")
def plain(make_sweep, tmp_path_factory):
    return undisturbed(make_sweep, tmp_path_factory.mktemp("plain"), "none", workers=2, batch=16)


def results(study):
    return [(trial.number, dict(trial.params), trial.state, trial.dev_wer) for trial in study.trials]


def shown_in_mlflow(home, campaign="tiny"):
    client = MlflowClient(home.tracking_uri)
    experiment = client.get_experiment_by_name(campaign)
    return {run.data.tags["record"]: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}


def test_trials_that_lose_their_race_are_pruned_everywhere_and_ranked_nowhere(raced):
    home, study = raced
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    assert len(pruned) >= 4
    assert len(complete) >= 2
    assert len(pruned) + len(complete) == len(study.trials) == TRIALS
    runs = shown_in_mlflow(home)
    stored = optuna.load_study(study_name="tiny/decoding", storage=home.storage_url)
    for trial in pruned:
        lost = trial.outcome.eliminated
        assert lost.decoded < lost.utterances == UTTERANCES
        assert lost.errors > lost.rival_errors
        assert (trial.dev_wer, trial.outcome.score, trial.curve) == (None, None, {})
        said = (
            f"stopped: decoded {lost.decoded} of {UTTERANCES} utterances, {lost.errors} errors where {lost.rival} has"
        )
        assert trial.outcome.notes[0].startswith(said)
        assert not (home.store / "outcomes" / trial.key).exists()
        frozen = stored.trials[trial.number]
        assert frozen.state is optuna.trial.TrialState.PRUNED
        assert (frozen.values, frozen.intermediate_values) == (None, {})
        shown = runs[trial.name]
        assert shown.info.status == "KILLED"
        assert not {"dev_wer", "errors", "best_wer", "reference_words"} & set(shown.data.metrics)
        assert shown.data.metrics["decoded_utterances"] == lost.decoded
        assert shown.data.metrics["errors_in_decoded"] == lost.errors
        assert shown.data.metrics["rival_errors_in_decoded"] == lost.rival_errors
        assert shown.data.tags["lost_to"] == lost.rival
    board = leaderboard([study], best_of([study]))
    row = board.iloc[0]
    assert (row["completed"], row["pruned"]) == (len(complete), len(pruned))
    assert study.best.state is TrialState.COMPLETE
    assert study.best.dev_wer == min(trial.dev_wer for trial in complete)


def test_a_race_stops_none_but_losers_and_changes_nothing_of_the_others(raced, plain):
    (raced_home, study), (plain_home, whole) = raced, plain
    assert whole.count(TrialState.COMPLETE) == TRIALS
    for one, other in zip(study.trials, whole.trials, strict=True):
        assert (one.number, one.params, one.key) == (other.number, other.params, other.key)
        if one.state is TrialState.COMPLETE:
            assert one.outcome.score == other.outcome.score
            files = [home.store / "outcomes" / one.key / "hypotheses.jsonl" for home in (raced_home, plain_home)]
            assert files[0].read_bytes() == files[1].read_bytes()
        else:
            rival = whole.trials[int(one.outcome.eliminated.rival.split("#")[1])]
            assert other.dev_wer > rival.dev_wer
    assert study.best.number == whole.best.number


def test_a_raced_study_that_is_interrupted_ends_as_one_that_was_not(sweep, raced, monkeypatch):
    # one at a time, so that it does not depend on the clock which trials are complete when another starts to race
    monkeypatch.setattr(study_run, "_BATCH", 1)
    campaign, home = sweep(RACE)
    notes = Stopping(after=7)
    notes.runner = Runner(campaign, list(campaign.studies), home, LocalEngine(1), notes)
    with pytest.raises(KeyboardInterrupt):
        notes.runner.run()
    stopped = Sampling(home).records("tiny")[1]
    assert 7 <= stopped.finished < TRIALS
    (_, again), _ = run(campaign, home, workers=1)
    assert results(again) == results(raced[1])
    runs, wanted = shown_in_mlflow(home), shown_in_mlflow(raced[0])
    assert {name: one.info.status for name, one in runs.items()} == {
        name: one.info.status for name, one in wanted.items()
    }


class Stopping(Notes):
    """Interrupts a run after so many trials of the decoding study."""

    def __init__(self, after):
        super().__init__()
        self._left = after

    def ended(self, trial):
        self._left -= trial.study == "decoding" and trial.state.finished
        if self._left == 0:
            self.runner.interrupt()


class Killing(Notes):
    """Kills the process of the youngest trial of a decoding study, twice, with all that it has not handed over."""

    def __init__(self):
        super().__init__()
        self.killed = []

    def started(self, trial):
        super().__getattr__("started")(trial)
        if trial.study == "decoding" and trial.number in (5, 9) and trial.number not in self.killed:
            os.kill(max(processes(), key=lambda process: process.create_time()).pid, signal.SIGKILL)
            self.killed.append(trial.number)


@pytest.mark.parametrize("pruner", ["none", RACE])
def test_a_sweep_whose_workers_are_killed_ends_with_the_trials_of_one_that_was_left_alone(sweep, plain, pruner):
    campaign, home = sweep(pruner)
    notes = Killing()
    (_, killed), _ = run(campaign, home, observer=notes, workers=2)
    assert notes.killed == [5, 9]
    assert sum(trial.deaths for trial in killed.trials) >= 2
    assert any("SIGKILL" in text for (text,) in notes.of("warn"))
    whole = plain[1]
    assert [(trial.number, trial.params) for trial in killed.trials] == [
        (trial.number, trial.params) for trial in whole.trials
    ]
    if pruner == "none":
        assert results(killed) == results(whole)
    complete = [trial for trial in killed.trials if trial.state is TrialState.COMPLETE]
    assert [trial.dev_wer for trial in complete] == [whole.trials[trial.number].dev_wer for trial in complete]
    assert killed.best.dev_wer == whole.best.dev_wer
    points = [tuple(sorted(trial.params.items())) for trial in killed.trials]
    assert len(set(points)) == len(points) == TRIALS
    runs = shown_in_mlflow(home)
    assert len([name for name in runs if name.startswith("tiny/decoding#")]) == TRIALS
    for trial in killed.trials:
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        shown = runs[trial.name]
        assert shown.info.status == ("FINISHED" if trial.state is TrialState.COMPLETE else "KILLED")
        assert shown.data.metrics.get("dev_wer") == trial.dev_wer


def run_as_if_slow(job, channel, lifeline):
    """A job's process for which every set takes long enough to be watched."""
    racing._SHOWN = 0.0
    run_job(job, channel, lifeline)


def test_a_set_that_takes_long_is_seen_to_move(sweep, monkeypatch):
    monkeypatch.setattr(local, "_run", run_as_if_slow)
    campaign, home = sweep("none")
    (_, study), notes = run(campaign, home, workers=1)
    assert study.count(TrialState.COMPLETE) == TRIALS
    for number in range(1, TRIALS):
        reports = [report for trial, report in notes.of("decoded") if trial.number == number]
        assert [report.decoded for report in reports] == [3 * part for part in range(2, 16)]
        assert {report.utterances for report in reports} == {UTTERANCES}
    assert not [trial for trial, _ in notes.of("decoded") if trial.number == 0]  # greedy decoding takes no time
