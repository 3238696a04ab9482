"""The test set is opened once for every promoted system, by one command, and every look is noted."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from orchestrator.final_tables import finals_json, looks_json, opening
from orchestrator.finalization import Finalization, looks_of
from orchestrator.home import Home
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker, trial_folders
from search_spaces.errors import CheckpointError, SealedError, UserError
from search_spaces.reading import read_campaign
from tests.orchestrator.conftest import HELD_OUT
from tests.orchestrator.running import run, shell
from trainers.ledger import Ledger
from trainers.outcomes import load_errors, load_outcome
from trainers.scoring.alignment import align
from trainers.scoring.matched_pairs import matched_pairs
from trainers.strategies import catalogue

STUDIES = ["baseline", "self_distillation", "decoding"]


@pytest.fixture
def campaign(folder):
    return read_campaign(folder / "tiny.yaml", catalogue())


@pytest.fixture
def finalize(folder):
    def call(campaign, *names, hearing=lambda record: None):
        return Finalization(campaign, names, Home.here()).run(hearing)

    return call


def test_every_promoted_system_is_scored_and_kept_by_utterance(campaign, folder):
    final = Finalization(campaign, (), Home.here())
    done = final.run(lambda record: None)
    assert [one.record.study for one in done] == STUDIES
    assert all(one.record.promoted for one in done)
    for one in done:
        counts = load_errors(final.folder(one))
        score = load_outcome(final.folder(one)).score
        assert one.look.score == score
        assert (counts.errors.sum(), counts.words.tolist()) == (score.errors, [2, 3, 1, 2])
        assert one.look.number == 1
    assert len({one.look.occasion.when for one in done}) == 1


def test_what_is_kept_can_be_tested_for_significance(campaign, folder):
    final = Finalization(campaign, (), Home.here())
    first, *_, second = final.run(lambda record: None)
    rows = [
        [json.loads(line) for line in (final.folder(one) / "hypotheses.jsonl").read_text().splitlines()]
        for one in (first, second)
    ]
    steps = [[align(row["reference"].split(), row["hypothesis"].split()) for row in some] for some in rows]
    assert 0 <= matched_pairs(*steps).p <= 1


def test_the_same_system_again_gives_the_stored_value_and_is_no_look(campaign, finalize):
    first = finalize(campaign)
    heard = []
    again = finalize(campaign, hearing=heard.append)
    assert heard == []
    assert [one.look for one in again] == [one.look for one in first]
    assert len(looks_of(campaign, Home.here())) == 3


def test_of_several_systems_only_the_new_ones_are_scored(campaign, finalize):
    finalize(campaign, "baseline")
    heard = []
    done = finalize(campaign, hearing=heard.append)
    assert [record.study for record in heard] == ["self_distillation", "decoding"]
    assert [(one.look.opening, one.look.number) for one in done] == [(1, 1), (2, 1), (2, 1)]


def test_another_system_of_the_strategy_is_look_2_whatever_its_campaign_is_called(campaign, finalize, folder):
    finalize(campaign)
    other = folder / "other.yaml"
    text = (
        (folder / "tiny.yaml")
        .read_text()
        .replace("campaign: tiny", "campaign: other")
        .replace("epochs: 12", "epochs: 3")
    )
    other.write_text(text, encoding="utf-8")
    second = read_campaign(other, catalogue())
    run(second, Home.here(), ["baseline"], workers=1)
    (late,) = finalize(second, "baseline")
    assert (late.look.number, late.look.opening) == (2, 2)
    client = MlflowClient(Home.here().tracking_uri)
    assert client.get_run(late.record.run_id).data.tags["test_look"] == "2"
    assert [look.submission.campaign for look in looks_of(campaign, Home.here())] == ["tiny"] * 3 + ["other"]


def test_every_system_hears_before_a_transcript_is_read_and_nothing_is_opened_if_one_cannot(campaign, folder):
    final = Finalization(campaign, (), Home.here())
    (last,) = [one for one in final.candidates if one.record.study == "self_distillation"]
    shutil.rmtree(folder / "mlruns/store/checkpoints" / last.record.outcome.checkpoint)
    with pytest.raises(CheckpointError):
        final.run(lambda record: None)
    assert looks_of(campaign, Home.here()) == []


def test_results_are_in_the_records_and_in_mlflow_and_a_sync_makes_them_again(campaign, finalize):
    done = finalize(campaign)
    home = Home.here()
    records = Sampling(home).records("tiny")
    shown = {trial.name: trial.final for study in records for trial in study.trials if trial.final is not None}
    assert {name: (final.score, final.look) for name, final in shown.items()} == {
        one.record.name: (one.look.score, 1) for one in done
    }
    home = replace(home, tracking_uri=f"sqlite:///{home.root / 'another.db'}")
    made = Tracker(home).sync(records, lambda record: trial_folders(home, record))
    client = MlflowClient(home.tracking_uri)
    for one in done:
        run = client.get_run(made[one.record.name])
        assert run.data.tags["test_wer"] == f"{one.look.score.wer:.2f}"
        assert run.data.tags["test_look"] == "1"
        assert run.data.metrics["test_wer"] == pytest.approx(one.look.score.wer)


KILLED = """
import os, signal
from trainers.data.sealed import SealedSet
from trainers.ledger import Ledger
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
{place} = die
from orchestrator.cli import main
import sys
sys.argv = ["orchestrator", "finalize", "tiny", "--yes"]
main()
"""


@pytest.mark.parametrize("place", ["SealedSet.open", "Ledger.record"])
def test_a_process_killed_between_the_note_and_the_result_has_looked_and_the_next_one_goes_on(campaign, place):
    killed = subprocess.run([sys.executable, "-c", KILLED.format(place=place)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert b"WER" not in killed.stdout
    home = Home.here()
    noted = looks_of(campaign, home)
    assert [(look.number, look.score) for look in noted] == [(1, None)] * 3
    final = Finalization(campaign, (), home)
    assert "look 1 goes on: it was interrupted" in opening(final, final.candidates)
    done = final.run(lambda record: None)
    assert [(one.look.opening, one.look.number) for one in done] == [(1, 1)] * 3
    assert all(one.look.score is not None for one in done)
    assert len(looks_of(campaign, home)) == 3


def test_two_processes_at_once_open_it_once(campaign):
    words = [sys.executable, "-c", "from orchestrator.cli import main; main()", "finalize", "tiny", "--yes", "--json"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert json.loads(said[0][0]) == json.loads(said[1][0])
    looks = looks_of(campaign, Home.here())
    assert [(look.opening, look.number) for look in looks] == [(1, 1)] * 3
    assert sum(text.count("hears the test set") for _, text in said) == 3


# --- the champion


def other_trial(study):
    """A complete trial of a study that does not stand for it."""
    (stored,) = [record for record in Sampling(Home.here()).records("tiny") if record.name == study]
    return next(trial for trial in stored.trials if trial.dev_wer is not None and not trial.promoted)


def test_a_champion_made_by_hand_that_stands_for_no_study_is_scored_too(call, campaign):
    chosen = other_trial("decoding")
    assert call("promote", "tiny", "--study", "decoding", "--trial", chosen.number)[0] == 0
    status, said = call("finalize", "tiny", "--yes")
    assert status == 0
    assert f"decoding#{chosen.number} (decoding, the champion): look 1" in said.err
    names = [line.split("  ")[0].strip() for line in said.out.splitlines()]
    assert sorted(names[1:-1]) == sorted([*STUDIES, f"decoding#{chosen.number} *"])
    assert names[-1] == "* champion"
    rows = json.loads(call("finalize", "tiny", "--json")[1].out)
    (row,) = [row for row in rows if row["promoted"] == "champion"]
    assert (row["study"], row["trial"], row["look"]) == ("decoding", chosen.number, 1)
    board = " ".join(call("leaderboard", "tiny")[1].out.split())
    assert f"the champion is trial {chosen.number} of decoding, not the one shown: dev WER" in board
    run = MlflowClient(Home.here().tracking_uri).get_run(chosen.run_id)
    assert run.data.tags["test_wer"] == f"{row['test_wer']:.2f}"


def test_a_champion_that_is_scored_after_the_promoted_trial_of_its_strategy_is_look_2(call, campaign, finalize):
    finalize(campaign)
    chosen = other_trial("decoding")
    call("promote", "tiny", "--study", "decoding", "--trial", chosen.number)
    looks = {(one.record.study, one.record.number): one.look.number for one in finalize(campaign)}
    assert looks.pop(("decoding", chosen.number)) == 2
    assert list(looks.values()) == [1, 1, 1]
    board = call("leaderboard", "tiny")[1].out
    assert "(look 2)" in " ".join(board.split())


def test_a_champion_of_a_study_that_is_not_finalized_is_not_scored(call, campaign, finalize):
    call("promote", "tiny", "--study", "decoding", "--trial", other_trial("decoding").number)
    assert [one.record.study for one in finalize(campaign, "baseline")] == ["baseline"]


def test_a_champion_whose_study_the_campaign_does_not_know_any_more_is_not_passed_over_in_silence(call, folder):
    call("promote", "tiny", "--study", "decoding")
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "tiny.yaml").write_text(text[: text.index("  decoding:")], encoding="utf-8")
    final = Finalization(read_campaign(folder / "tiny.yaml", catalogue()), (), Home.here())
    (warning,) = final.warnings
    assert "is of no study of this campaign that is stored here, and is not scored" in warning


# --- what is refused


def test_studies_that_have_not_ended_are_refused_with_what_to_run(campaign, folder):
    home = Home.here()
    Sampling(home).load("tiny", "decoding").note("budget", 9)
    with pytest.raises(UserError, match=r"decoding has 5 of 9 trials\n.*orchestrator run tiny.*finalize tiny baseline"):
        Finalization(campaign, (), home)
    assert len(Finalization(campaign, ("baseline",), home).candidates) == 1
    assert Ledger(home.store).looks() == []


def test_a_study_that_was_never_run_is_refused(folder):
    text = (folder / "tiny.yaml").read_text(encoding="utf-8") + "  late: {strategy: baseline}\n"
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="late has not been run"):
        Finalization(read_campaign(folder / "tiny.yaml", catalogue()), (), Home.here())


def test_a_campaign_without_a_test_set_and_an_unknown_study_are_refused(folder, campaign):
    with pytest.raises(UserError, match="unknown study 'nothing'"):
        Finalization(campaign, ("nothing",), Home.here())
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "tiny.yaml").write_text(text.replace(f", test: {campaign.data.test}", ""), encoding="utf-8")
    with pytest.raises(UserError, match=r"has no test set; name one in .*tiny\.yaml"):
        Finalization(read_campaign(folder / "tiny.yaml", catalogue()), (), Home.here())


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_campaign_that_learns_or_chooses_from_its_test_set_is_refused(folder, campaign, split):
    """Under other names, in another order, and with recordings of its own beside them."""
    place = folder / "disguise"
    shutil.copytree(folder / "held_out/features", place / "features")
    entries = [json.loads(line) for line in (folder / "held_out/test.jsonl").read_text().splitlines()]
    own = [json.loads(line) for line in getattr(campaign.data, split).read_text().splitlines()]
    for entry in own:
        entry["feature_filepath"] = str(getattr(campaign.data, split).parent / entry["feature_filepath"])
    (place / "mine.jsonl").write_text("".join(json.dumps(e) + "\n" for e in [*own, entries[2]]), encoding="utf-8")
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "tiny.yaml").write_text(
        text.replace(f"{split}: {getattr(campaign.data, split)}", f"{split}: {place / 'mine.jsonl'}")
    )
    changed = read_campaign(folder / "tiny.yaml", catalogue())
    with pytest.raises(SealedError, match=rf"1 of the {len(own) + 1} recordings of .*mine.jsonl are in the test set"):
        run(changed, Home.here(), ["baseline"], workers=1)
    with pytest.raises(SealedError):
        Finalization(changed, (), Home.here())


def test_a_text_that_holds_every_sentence_of_the_test_set_is_said_aloud(folder, campaign):
    assert Finalization(campaign, (), Home.here()).warnings == []
    with (folder / "text.txt").open("a", encoding="utf-8") as text:
        text.write("\n".join(HELD_OUT) + "\n")
    (warning,) = Finalization(campaign, (), Home.here()).warnings
    assert f"every sentence of the test set is in {folder / 'text.txt'}" in warning


# --- the command


def test_the_command_says_what_it_opens_and_asks_for_yes_where_nobody_can_answer(call, campaign):
    status, said = call("finalize", "tiny")
    assert status == 2
    assert "held_out/test.jsonl, 4 utterances, never opened before" in said.err
    assert "a look cannot be taken back; --yes says that it is meant" in said.err
    assert said.out == ""
    assert looks_of(campaign, Home.here()) == []


def test_the_command_shows_all_results_and_then_needs_no_yes(call, folder):
    status, said = call("finalize", "tiny", "--yes")
    assert status == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["study", "dev", "WER", "test", "WER", "95", "%", "errors", "look"]
    assert {line.split()[0] for line in lines[1:-1]} == set(STUDIES)
    assert lines[-1] == "* champion"
    assert max(map(len, lines)) <= 80
    status, again = call("finalize", "tiny")
    assert status == 0
    assert again.out == said.out
    assert "opened 1 time before" in again.err
    assert again.err.count("is not scored again") == 3
    status, listed = call("finalize", "tiny", "--list")
    assert listed.out.count("tiny/") == 3
    assert max(map(len, listed.out.splitlines())) <= 80
    assert len(json.loads(call("finalize", "tiny", "--list", "--json")[1].out)) == 3


def test_a_program_gets_the_counts_and_the_interval(campaign, finalize):
    final = Finalization(campaign, (), Home.here())
    for entry in finals_json(final, finalize(campaign)):
        assert entry["test_low"] <= entry["test_wer"] <= entry["test_high"]
        errors = entry["substitutions"] + entry["deletions"] + entry["insertions"]
        assert entry["test_wer"] == pytest.approx(100 * errors / entry["words"])
    assert all(entry["score"] for entry in looks_json(final.looks))


def test_the_leaderboard_shows_test_wer_interval_and_look_and_compares_on_test(campaign, call, finalize, folder):
    before = json.loads(call("leaderboard", "tiny", "--json")[1].out)
    assert {row["test_wer"] for row in before} == {None}
    assert "test WER" not in call("leaderboard", "tiny")[1].out
    done = {one.record.study: one for one in finalize(campaign)}
    rows = json.loads(call("leaderboard", "tiny", "--json")[1].out)
    for row in rows:
        score = done[row["study"]].look.score
        assert row["test_wer"] == pytest.approx(score.wer, abs=0.01)
        assert row["test_low"] <= row["test_wer"] <= row["test_high"]
        assert row["test_looks"] == 1
    said = call("leaderboard", "tiny")[1].out
    assert "look: how often test was opened" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.slow
def test_the_test_set_of_digits_is_opened_once_for_all_of_its_studies(digits):
    """With real recordings, through the command line alone."""

    def command(*words):
        done = shell(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rows = json.loads(command("finalize", "digits", "--yes", "--json"))
    assert [row["study"] for row in rows if row["words"] == 199 and row["look"] == 1] == [row["study"] for row in rows]
    assert {row["study"] for row in rows} == {"baseline", "self_distillation", "decoding"}
    assert all(row["test_wer"] < 40 for row in rows)
    assert json.loads(command("finalize", "digits", "--json")) == rows
