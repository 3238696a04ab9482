"""Ensembles from the campaign file to the champion: of the tiny campaign's seeds, and of outside posteriors."""

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest

from orchestrator.home import Home
from orchestrator.promotion import Champions
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.retention import pools
from orchestrator.sampling import Sampling
from orchestrator.start import pinned_start, resolve_start
from orchestrator.tracking import Tracker
from search_spaces.errors import CampaignError, UserError
from search_spaces.reading import read_campaign
from tests.orchestrator.running import run, working_in
from trainers.artifacts import Score
from trainers.checkpoint import load_checkpoint
from trainers.combining.kept_ensemble import load_ensemble
from trainers.spec import TrialOutcome
from trainers.store import Store
from trainers.strategies import catalogue

STUDIES = """
  seeds:
    strategy: seeds
    trials: 3
  spelled:
    strategy: baseline
    fixed: {units: marked_char}
    trials: 1
  joint:
    strategy: ensemble
    needs: {pool: [seeds, 'spelled#0', 'seeds#1']}
    fixed: {ensemble.selection: all}
    trials: 3
    space: {decoding.alpha: {float: [0.0, 1.0]}}
    enqueue: [{decoding.alpha: 0.3}]
  mean:
    strategy: ensemble
    needs: {pool: seeds}
    fixed: {ensemble.rule: arithmetic, ensemble.selection: given, ensemble.weight_3: 0.5}
  mixed_mean:
    strategy: ensemble
    needs: {pool: [seeds, spelled]}
    fixed: {ensemble.selection: all}
    sampler: grid
    space: {ensemble.rule: {choice: [geometric, rover, mbr]}}
  last:
    strategy: ensemble
    needs: {pool: seeds}
    fixed: {ensemble.rule: weights, weights.last: 2, decoding.method: greedy}
  pupil:
    strategy: distillation
    needs: {teacher: joint}
    fixed: {distillation.level: sequence, train.epochs: 3}
    sampler: grid
    space: {distillation.alpha: {choice: [0.3, 0.7]}}
  guided:
    strategy: distillation
    needs: {teacher: mean}
    fixed: {distillation.level: guided, train.epochs: 3}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory, make_tiny_campaign, write_features):
    """A folder in which ensembles have run; it is copied before anything is done in it."""
    folder = tmp_path_factory.mktemp("ensembles")
    test = write_features(folder / "held_out/test.jsonl", ["GO STOP", "NO YES NO", "STOP"], seed=11)
    with working_in(folder):
        tiny = make_tiny_campaign(folder)
        tiny.rewrite("}\nunits", f", test: {test}}}\nunits")
        tiny.rewrite("epochs: 4", "keep_last: 3, epochs: 10")
        tiny.rewrite("200, ", "120, ")
        tiny.rewrite("bilstm", "conv")
        text = tiny.file.read_text(encoding="utf-8")
        text = text[: text.index("baseline: baseline")] + "baseline: seeds\n\nstudies:" + STUDIES
        tiny.file.write_text(text, encoding="utf-8")
        run(tiny.read(), tiny.home)
    return folder


def stored(campaign="tiny"):
    return {record.name: record for record in Sampling(Home.here()).records(campaign)}


def board(folder, call):
    """The rows of the leaderboard by study."""
    status, shown = call("leaderboard", "tiny", "--csv", "board.csv")
    assert status == 0, shown
    return {
        row["study"]: row for row in csv.DictReader((folder / "board.csv").read_text(encoding="utf-8").splitlines())
    }


def heard(folder, trial):
    lines = (folder / "mlruns/store/outcomes" / trial.key / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["hypothesis"] for row in map(json.loads, lines)}


def test_a_pool_is_every_complete_trial_and_none_twice_and_its_record_says_who_counts(folder):
    joint = stored()["joint"]
    pool = [(entry["name"], entry["number"]) for entry in joint.start["needs"]["pool"]]
    assert pool == [("seeds", 0), ("seeds", 1), ("seeds", 2), ("spelled", 0)]
    networks = {trial.number: trial.outcome.weights for trial in stored()["seeds"].trials}
    for trial in joint.trials:
        outcome, report = trial.outcome, trial.outcome.ensemble
        assert {part.name: part.weight for part in report.members} == {f"{n}#{i}": 0.25 for n, i in pool}
        assert report.rule == "joint_rescoring"
        assert report.searches == 4
        assert [score.errors for _, score in report.alone] == sorted(score.errors for _, score in report.alone)
        assert {name for name, _ in report.alone} == {f"{n}#{i}" for n, i in pool}
        assert outcome.weights > sum(networks.values())
        assert outcome.units == "marked_char+word"
        assert outcome.checkpoint == ""
        assert str(report) in outcome.notes


def test_the_leaderboard_shows_members_cost_and_the_best_single_of_the_same_pool(folder, call):
    rows = board(folder, call)
    mean = rows["mean"]
    assert re.fullmatch(r"seeds#\d 0.40, seeds#\d 0.40, seeds#\d 0.20", mean["members"])
    assert (mean["inference_cost"], mean["searches"]) == ("3.0", "1")
    assert mean["decoder_tuned_on"] == "dev"
    singles = [trial.outcome.ensemble.single_score.wer for trial in stored()["joint"].trials]
    assert float(rows["joint"]["best_single_wer"]) == pytest.approx(min(singles), abs=0.01)
    assert all((folder / "mlruns" / place).is_dir() for place in mean["checkpoint"].split())
    assert rows["seeds"]["members"] == rows["seeds"]["best_single"] == ""
    said = " ".join(call("leaderboard", "tiny")[1].out.split())
    assert re.search(
        r"mean: [\d.]+ % of seeds#\d 0.40, .* at 3.0 times the weights, 1 search; best single of the", said
    )


def test_a_rule_that_the_pool_does_not_allow_fails_alone_and_says_the_difference(folder):
    found = {trial.params["ensemble.rule"]: trial for trial in stored()["mixed_mean"].trials}
    assert found["geometric"].state is TrialState.FAILED
    assert "seeds#0 and spelled#0 have other labels" in found["geometric"].error
    assert "joint_rescoring, rover and mbr do not" in found["geometric"].error
    assert {found[name].state for name in ("rover", "mbr")} == {TrialState.COMPLETE}


@pytest.mark.parametrize("study", ["joint", "mean", "last"])
def test_a_promoted_ensemble_hears_what_its_trial_heard(folder, call, tiny, study):
    home = Home.here()
    trial = stored()[study].best
    Champions(home, Tracker(home)).promote(trial)
    status, said = call("transcribe", tiny.dev, "--format", "json", "--campaign", "tiny")
    assert status == 0, said
    entries = [json.loads(line) for line in said.out.splitlines()]
    assert {entry["id"]: entry["text"] for entry in entries} == heard(folder, trial)
    assert all(bool(entry["words"]) == (study != "joint" and bool(entry["text"])) for entry in entries)
    score = json.loads(call("evaluate", tiny.dev, "--campaign", "tiny", "--json")[1].out)
    assert score["errors"] == trial.outcome.score.errors
    if study == "joint":
        exported = home.champions / "tiny"
        about = json.loads((exported / "ensemble.json").read_text(encoding="utf-8"))
        assert [entry["weight"] for entry in about["members"]] == [0.25] * 4
        assert call("transcribe", tiny.dev, "--workers", "2")[1].out == call("transcribe", tiny.dev)[1].out
        status, said = call("transcribe", tiny.dev, "--format", "ctm")
        assert (status, "words that several systems agree on have none" in said.err) == (2, True)
        (exported / "ensemble.json").write_text("{}", encoding="utf-8")
        status, said = call("transcribe", tiny.dev)
        assert (status, "is no ensemble of this version" in said.err) == (2, True)


def test_averaged_weights_are_a_checkpoint_that_can_be_taken_like_any(folder):
    trial = stored()["last"].best
    checkpoint = load_checkpoint(folder / "mlruns/store" / trial.outcome.made_of)
    assert [name.rpartition(", ")[2] for name in checkpoint.training["averaged"]] == ["epoch 9", "epoch 10"]
    campaign = read_campaign(folder / "tiny.yaml", catalogue())
    pupil = replace(campaign.studies["seeds"], strategy="distillation", needs={"teacher": ("last",)})
    start = resolve_start(pupil, {"last": stored()["last"]}, Store(folder / "mlruns/store"))
    assert start.needs["teacher"][0].folder == checkpoint.folder
    pupil = replace(pupil, strategy="self_distillation", needs={"teacher": ("joint",)})
    said = r"needs one network, and tiny/joint#\d is an ensemble of seeds#0, .*; name the study of one of them"
    with pytest.raises(UserError, match=said):
        resolve_start(pupil, {"joint": stored()["joint"]}, Store(folder / "mlruns/store"))


def test_an_ensemble_teaches_and_its_pupil_s_record_names_it_and_pays_for_it(folder, call):
    studies, store = stored(), Store(folder / "mlruns/store")
    for name, teacher in (("pupil", "joint"), ("guided", "mean")):
        trial, pool = studies[name].best, studies[teacher]
        assert trial.needs == {"teacher": (f"{teacher}#{pool.result.number}",)}
        (source,) = pinned_start(studies[name].start, store).needs["teacher"]
        kept = load_ensemble(source.folder)
        assert [(part.name, part.weight) for part in kept.parts] == [
            (part.name, part.weight) for part in pool.result.outcome.ensemble.members
        ]
    rows = board(folder, call)
    costs = {name: float(rows[name]["cpu_hours_with_needs"]) for name in ("seeds", "spelled", "joint", "pupil")}
    assert costs["pupil"] > costs["joint"] > costs["seeds"] + costs["spelled"]
    assert rows["pupil"]["inference_cost"] == "1.0"


def test_a_pupil_s_weights_come_back_from_what_the_store_has_of_its_teacher(folder, call):
    places = {trial.number: folder / "mlruns/store/checkpoints" / trial.key for trial in stored()["pupil"].trials}
    before = {number: (place / "model.safetensors").read_bytes() for number, place in places.items()}
    call("free", "tiny/pupil", "--keep-best", "1")
    (number,) = (trial.number for trial in stored()["pupil"].trials if trial.freed)
    status, said = call("free", "tiny/pupil", "--restore", number)
    assert status == 0, said.err
    assert (places[number] / "model.safetensors").read_bytes() == before[number]


@pytest.mark.parametrize(
    ("study", "need", "said"),
    [
        (
            "{strategy: distillation, needs: {teacher: joint}}",
            "teacher",
            "ensemble that gives hypotheses alone, which serve with distillation.level: sequence and with no other",
        ),
        (
            "{strategy: distillation, needs: {teacher: joint}, fixed: {distillation.level: guided}}",
            "teacher",
            "fix that",
        ),
        (
            "{strategy: distillation, needs: {teacher: joint}, trials: 2, "
            "space: {distillation.level: {choice: [sequence, span]}}}",
            "teacher",
            "fix that",
        ),
        (
            "{strategy: self_distillation, needs: {teacher: mean}}",
            "teacher",
            "gives posteriors, and teacher takes one network; name the study of one of its members",
        ),
        (
            "{strategy: decoding, needs: {posteriors: [seeds, joint]}, trials: 1}",
            "posteriors",
            "study joint is an ensemble that gives hypotheses, and posteriors takes one network",
        ),
    ],
)
def test_an_ensemble_where_it_cannot_serve_is_refused_before_anything_runs(folder, study, need, said):
    file = folder / "tiny.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}  another: {study}\n", encoding="utf-8")
    with pytest.raises(CampaignError) as error:
        read_campaign(file, catalogue())
    (mistake,) = error.value.mistakes
    assert (mistake.line, mistake.key) == (text.count("\n") + 1, f"studies.another.needs.{need}")
    assert said in mistake.message


@pytest.mark.parametrize(
    "study",
    [
        "{strategy: self_distillation, needs: {teacher: last}}",  # its rule makes one network
        "{strategy: distillation, needs: {teacher: mixed_mean}}",  # of a searched rule any trial may be promoted
        "{strategy: distillation, needs: {teacher: mean}, fixed: {distillation.level: frame}}",
        "{strategy: distillation, needs: {teacher: joint}, inherit: pupil}",
    ],
)
def test_what_may_serve_is_not_refused(folder, study):
    file = folder / "tiny.yaml"
    file.write_text(file.read_text(encoding="utf-8") + f"  another: {study}\n", encoding="utf-8")
    read_campaign(file, catalogue())


def test_finalize_opens_the_test_set_for_ensembles_too(folder, call):
    status, shown = call("finalize", "tiny", "joint", "mean", "last", "--yes")
    assert status == 0, shown
    for name in ("joint", "mean", "last"):
        study = stored()[name]
        final = next(trial.final for trial in study.trials if trial.number == study.promoted)
        assert final.score.words == 6


def record(*wers):
    trials = tuple(
        TrialRecord(
            "c", "seeds", "seeds", number, TrialState.COMPLETE, outcome=TrialOutcome(score=Score(wer, words=100))
        )
        if wer is not None
        else TrialRecord("c", "seeds", "seeds", number, TrialState.FAILED)
        for number, wer in enumerate(wers)
    )
    return StudyRecord("c", "seeds", "seeds", trials)


def test_a_trial_that_is_not_complete_is_no_member(folder, store):
    campaign = read_campaign(folder / "tiny.yaml", catalogue())
    for source, there in (("seeds#1", "seeds#0, seeds#2"), ("seeds#7", "seeds#0, seeds#2")):
        study = replace(campaign.studies["mean"], needs={"pool": (source,)})
        with pytest.raises(UserError, match=f"needs {source}, which has no complete trial; complete are: {there}"):
            resolve_start(study, {"seeds": record(10, None, 12)}, store)


def test_a_study_that_waits_for_its_pool_keeps_the_weights_of_all_that_it_names(folder):
    campaign = read_campaign(folder / "tiny.yaml", catalogue())
    assert pools(campaign, catalogue(), []) == {"tiny/seeds", "tiny/spelled"}
    assert pools(campaign, catalogue(), stored().values()) == set()


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ("[nobody]", "unknown study 'nobody'"),
        ("['seed#1']", "unknown study 'seed'; did you mean 'seeds'?"),
        ("['seeds#one']", "'seeds#one' names no trial; write seeds for all complete trials, or seeds#2 for trial 2"),
        ("[mean]", "study mean (strategy ensemble) only searches over what others trained; name those studies"),
        ("[last_one]", "needs itself"),
        ("[]", "names no study"),
    ],
)
def test_a_pool_of_names_that_mean_nothing_is_refused(folder, pool, said):
    file = folder / "tiny.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}  last_one:\n    strategy: ensemble\n    needs: {{pool: {pool}}}\n", encoding="utf-8")
    with pytest.raises(CampaignError, match=re.escape(said)):
        read_campaign(file, catalogue())


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ("ensemble.rule: vote", "should be a fusion rule: arithmetic, geometric, joint_rescoring"),
        ("ensemble.members: 0", "greater than or equal to 1"),
        ("decoding.prior_scale: 0.3", "has no effect on strategy 'ensemble'"),
        ("rover.alpha: 0.3", "unknown setting 'rover.alpha'"),
    ],
)
def test_settings_that_an_ensemble_does_not_have_are_refused(folder, fixed, said):
    file = folder / "tiny.yaml"
    text = file.read_text(encoding="utf-8").replace("ensemble.rule: arithmetic", f"ensemble.tune: true, {fixed}")
    file.write_text(text.replace("ensemble.tune: true, ensemble", "ensemble"), encoding="utf-8")
    with pytest.raises(CampaignError, match=re.escape(said)):
        read_campaign(file, catalogue())


WORDS = """\
campaign: words
data: {{train: {data}/train.jsonl, dev: {data}/dev.jsonl}}
units: word
features: {{kind: logmel, bands: 40, normalise: speaker}}
language_model: {{text: {data}/lm/train_text.txt, order: 4}}
studies:
"""

FUSED = """
  joint: {strategy: ensemble, needs: {pool: [seed2, seed3]}, fixed: {ensemble.selection: all, decoding.beta: 3.0}}
  mean:
    strategy: ensemble
    needs: {pool: [seed2, seed3]}
    fixed: {ensemble.rule: arithmetic, ensemble.selection: all, decoding.method: greedy}
"""


def test_posteriors_of_two_other_programs_are_fused_and_decoded_by_the_command_line(
    root, home, tmp_path, call, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "words.yaml"
    text = WORDS.format(data=root / "data/an4")
    file.write_text(f"{text}  baseline: {{strategy: baseline}}\n", encoding="utf-8")
    for seed in (2, 3):
        place = tmp_path / f"seed{seed}"
        place.mkdir()
        shutil.copy2(root / f"tests/data/an4_posteriors/word_seed{seed}_dev.npz", place / "dev.npz")
        status, shown = call("import-posteriors", place, "--into", file, "--name", place.name, "--units", "word")
        assert status == 0, shown
        text += next(line for line in shown.out.splitlines() if "strategy: imported" in line) + "\n"
    file.write_text(text + FUSED, encoding="utf-8")
    status, shown = call("run", file)
    assert status == 0, shown
    said = " ".join(f"{shown.out} {shown.err}".split())
    assert "is made of posteriors of another program, without a network that could recognise recordings" in said
    found = stored("words")
    alone, joint, mean = (found[name].best.outcome for name in ("seed2", "joint", "mean"))
    assert (alone.score.errors, alone.score.words) == (208, 710)  # 29.3 %
    # measured before there was this strategy: frames of separately trained networks do not line up
    assert mean.score.wer == pytest.approx(33.5, abs=0.05)
    assert joint.score.errors < min(score.errors for _, score in joint.ensemble.alone)
    assert not joint.has_network
    status, shown = call("promote", file, "--study", "joint")
    assert (status, "without a network" in shown.err) == (2, True)
