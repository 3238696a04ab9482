"""What the documents say exists, and what exists the documents say."""

import re
import subprocess

import pytest

from orchestrator import cli
from orchestrator.leaderboard import COLUMNS
from search_spaces.finding import SHIPPED
from search_spaces.reading import read_campaign
from trainers.strategies import catalogue

CAMPAIGNS = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", cli.cli.list_commands(None))
def test_every_command_is_in_the_readme(readme, name):
    assert f"| `orchestrator {name}" in readme


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_strategy_is_in_the_readme(readme, name):
    assert f"| `{name}` |" in readme


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_every_shipped_campaign_is_whole_and_in_the_readme(readme, name, phoenix_folder, monkeypatch):
    monkeypatch.chdir(phoenix_folder)  # holds the data that do not ship
    campaign = read_campaign(SHIPPED / f"{name}.yaml", catalogue())
    assert campaign.baseline in campaign.studies
    assert campaign.data.test is not None
    assert f"| `{name}` |" in readme


def test_the_campaign_in_the_readme_is_a_campaign(readme, root, tmp_path):
    text = re.search(r"```yaml\n(campaign: mine.*?)```", readme, re.DOTALL)[1]
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "text.txt").write_text("", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    campaign = read_campaign(tmp_path / "mine.yaml", catalogue())
    # an example of each kind of study, not a list of all strategies: the table is that
    shown = {study.strategy for study in campaign.studies.values()}
    assert {"baseline", "decoding"} < shown <= set(catalogue())


def test_every_column_of_the_leaderboard_is_explained(root):
    text = (root / "docs/leaderboard.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {column.meaning} |" for name, column in COLUMNS.items()]


def test_every_dependency_has_its_reason(root):
    setup = (root / "setup.cfg").read_text(encoding="utf-8")
    required = re.search(r"install_requires =\n(.*?)\n\n", setup, re.DOTALL)[1]
    reasons = (root / "docs/decisions.md").read_text(encoding="utf-8").lower()
    for line in required.splitlines():
        name = re.match(r"\s*([a-z0-9-]+)", line)[1]
        assert name in reasons, f"docs/decisions.md does not say why {name}"


def test_paths_that_documents_name_exist(root):
    known = set(
        subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    )
    for document in ("README.md", "CONTRIBUTING.md", "docs/decisions.md"):
        text = (root / document).read_text(encoding="utf-8")
        for path in re.findall(r"`((?:scripts|benchmarks|search_spaces|trainers|orchestrator|docs)/[\w/.-]+\w)`", text):
            assert any(file == path or file.startswith(f"{path}/") for file in known), f"{document} names {path}"


def test_no_module_is_longer_than_it_should_be(root):
    for folder in ("orchestrator", "trainers", "search_spaces"):
        for path in (root / folder).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 340, path
