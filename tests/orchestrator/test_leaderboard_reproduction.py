import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.home import Home
from orchestrator.leaderboard.reproduction import HOME, command
from orchestrator.sampling import Sampling
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Float, Space
from tests.orchestrator.recognised import study

SPACE = Space((Axis("train.lr", Float(0.1, 1.0)),))
ORCHESTRATOR = Path(sys.executable).with_name("orchestrator")


def shell(line, folder):
    """Run a line that begins with ``orchestrator``, or with variables before it."""
    line = line.replace("orchestrator ", f"{ORCHESTRATOR} ", 1)
    return subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False)


def results(home, names):
    studies = {found.name: found for found in Sampling(home).records("tiny")}
    return {name: (studies[name].result.key, studies[name].result.dev_wer) for name in names}


def test_the_command_of_a_row_gives_the_same_keys_and_the_same_wers(tiny_campaign, monkeypatch):
    folder = tiny_campaign.folder
    done = shell("orchestrator run tiny/self_distillation --workers 2 --set train.epochs=2", folder)
    assert done.returncode == 0, done.stderr
    shown = shell("orchestrator leaderboard tiny --json", folder)
    rows = {row["study"]: row for row in json.loads(shown.stdout)}
    line = rows["self_distillation"]["command"]
    assert line.startswith(f"ORCHESTRATOR_HOME={HOME} orchestrator run tiny/self_distillation --trials 1")
    assert "--set train.epochs=2" in line
    names = ("baseline", "self_distillation")
    before = results(tiny_campaign.home, names)
    shutil.move(tiny_campaign.home.root, folder / "moved")  # nothing of it may be needed
    again = shell(line, folder)
    assert again.returncode == 0, again.stderr
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder / HOME))
    assert results(Home.here(), names) == before


def test_the_reference_of_a_strategy_is_not_enqueued_with_settings_that_are_not_searched():
    found = study("one", 20.0)
    greedy = replace(found.trials[0], params={"train.lr": 0.5, "decoding.method": "greedy"})
    definition = StudyDefinition("one", "decoding", space=SPACE)
    line = command(replace(found, trials=(greedy,)), {"one": replace(found, trials=(greedy,))}, {"one": definition})
    assert line.endswith("""--set 'studies.one.enqueue=[{"train.lr": 0.5}]'""")


def test_an_imported_checkpoint_is_imported_again():
    found = study("mine", 20.0)
    trial = replace(found.trials[0], needs={"checkpoint": ("a folder/k",)})
    line = command(replace(found, trials=(trial,)), {}, {})
    assert line == "orchestrator import 'a folder/k' --into c --name mine"


def test_a_study_without_a_result_has_nothing_to_reproduce():
    assert command(study("one"), {}, {}) == ""
