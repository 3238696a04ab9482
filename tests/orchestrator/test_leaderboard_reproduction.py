import json
import shutil
import subprocess
from dataclasses import replace

from orchestrator.home import Home
from orchestrator.leaderboard.reproduction import HOME, command
from orchestrator.sampling import Sampling
from search_spaces.campaign import StudyDefinition
from tests.orchestrator.recognised import study
from tests.orchestrator.running import COMMAND


def typed(line, folder):
    """Run a line that begins with ``orchestrator``, or with variables before it."""
    line = line.replace("orchestrator ", f"{COMMAND} ", 1)
    return subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False)


def keys(home):
    return {trial.key: trial.dev_wer for found in Sampling(home).records("tiny") for trial in found.trials}


def test_the_command_of_a_row_gives_the_same_keys_and_the_same_wers(tiny_campaign, monkeypatch):
    folder = tiny_campaign.folder
    done = typed("orchestrator run tiny --workers 2 --set train.epochs=3", folder)
    assert done.returncode == 0, done.stderr
    shown = typed("orchestrator leaderboard tiny --json", folder)
    line = {row["study"]: row for row in json.loads(shown.stdout)}["decoding"]["command"]
    assert line.startswith(f"ORCHESTRATOR_HOME={HOME} orchestrator run tiny/decoding --trials 1 --set train.epochs=3")
    results = [found.result for found in Sampling(tiny_campaign.home).records("tiny")]
    shutil.move(tiny_campaign.home.root, folder / "moved")  # nothing of it may be needed
    again = typed(line, folder)
    assert again.returncode == 0, again.stderr
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder / HOME))
    found = keys(Home.here())
    assert [found.get(trial.key) for trial in results] == [trial.dev_wer for trial in results]
    assert len(results) == 3


def test_what_a_strategy_laid_over_its_point_is_not_enqueued():
    found = study("one", 20.0)
    greedy = {"params": {"train.lr": 0.5, "decoding.method": "greedy"}, "overrides": {"decoding.method": "greedy"}}
    found = replace(found, trials=(replace(found.trials[0], **greedy),))
    line = command(found, {"one": found}, {"one": StudyDefinition("one", "decoding")})
    assert line.endswith("""--set 'studies.one.enqueue=[{"train.lr": 0.5}]'""")


def test_an_imported_checkpoint_is_imported_again():
    found = study("mine", 20.0)
    trial = replace(found.trials[0], needs={"checkpoint": ("a folder/k",)})
    line = command(replace(found, trials=(trial,)), {}, {})
    assert line == "orchestrator import 'a folder/k' --into c --name mine"


def test_a_study_without_a_result_has_nothing_to_reproduce():
    assert command(study("one"), {}, {}) == ""
