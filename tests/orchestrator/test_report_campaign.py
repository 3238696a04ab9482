"""``orchestrator report`` on campaigns that have run: the file, MLflow, a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.finalization import Finalization
from orchestrator.home import Home
from orchestrator.leaderboard.formats import cells
from orchestrator.report import read_material
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker, trial_folders
from search_spaces.reading import read_campaign
from tests.orchestrator.reading_pages import Page, fetched
from tests.orchestrator.running import shell

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


def shown_in_mlflow():
    """The pages that MLflow shows for the campaign, by run."""
    client = MlflowClient(Home.here().tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id], "tags.report_of = 'tiny'")
    return {
        run.info.run_id: Path(client.download_artifacts(run.info.run_id, "report.html")).read_text(encoding="utf-8")
        for run in runs
        if run.info.status == "FINISHED"
    }


def test_a_campaign_becomes_one_page_with_all_its_parts(call, folder):
    status, said = call("report", "tiny")
    assert status == 0, said.err
    assert "written: report-tiny.html" in said.out
    shown = Page((folder / "report-tiny.html").read_text(encoding="utf-8"))
    assert fetched(shown) == []
    material = read_material(read_campaign(folder / "tiny.yaml"))
    for row in material.table.to_dict("records"):
        assert cells(row) in shown.cells
    assert len([one for one in shown.all("polyline") if one["class"].startswith("curve")]) == 2
    for part in (
        "too few utterances to test on: 4",
        "points within noise",
        "the training set has 12 utterances",
        "The test set has not been opened.",
        "orchestrator run tiny/decoding --trials 1",
    ):
        assert part.lower() in shown.text.lower()
    assert {"anna", "ben"} <= {row[0] for row in shown.cells}


def test_mlflow_shows_the_page_and_the_same_command_replaces_it(call, folder):
    call("report", "tiny")
    (first,) = shown_in_mlflow().items()
    assert first[1] == (folder / "report-tiny.html").read_text(encoding="utf-8")
    call("report", "tiny", "--study", "baseline")
    (again,) = shown_in_mlflow().items()
    assert again[0] == first[0]
    assert "Errors of <strong>baseline</strong>" in again[1]
    records = Sampling(Home.here()).records("tiny")
    assert Tracker(Home.here()).sync(records, lambda record: trial_folders(Home.here(), record)) == {}
    assert list(shown_in_mlflow()) == [first[0]]


def test_a_tracking_store_that_cannot_be_opened_costs_a_warning(call, folder, monkeypatch):
    (folder / "text").write_text("no database", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/text")
    status, said = call("report", "tiny")
    assert status == 0
    assert said.err.startswith("warning: not in MLflow: ")
    assert (folder / "report-tiny.html").is_file()


def test_only_a_report_is_replaced(call, folder):
    notes = folder / "notes.html"
    notes.write_text("<p>mine</p>", encoding="utf-8")
    status, said = call("report", "tiny", "--out", notes)
    assert status == 2
    assert "is no report of this program and is not replaced" in said.err
    assert notes.read_text(encoding="utf-8") == "<p>mine</p>"
    assert call("report", "tiny", "--out", folder / "new/folder/r.html")[0] == 0
    assert call("report", "tiny", "--out", folder / "new/folder/r.html")[0] == 0
    assert [path.name for path in (folder / "new/folder").iterdir()] == ["r.html"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("report", "tinny"), "no campaign 'tinny'; did you mean tiny"),
        (("report", "tiny/baseline"), "write tiny --study baseline"),
        (("report", "tiny", "--study", "baselin"), "did you mean 'baseline'"),
        (("report", "tiny", "--split", "test"), "the test set was not opened for tiny/"),
    ],
)
def test_a_wrong_call_ends_with_2_and_writes_nothing(call, folder, words, why):
    status, said = call(*words)
    assert status == 2
    assert why in said.err
    assert not list(folder.glob("*.html"))


def test_a_campaign_that_has_not_been_run_gets_a_page_and_no_home(call, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "elsewhere"))
    status, said = call("report", "tiny")
    assert status == 0
    assert "MLflow" not in said.out + said.err
    assert "Nothing has been run yet." in (folder / "report-tiny.html").read_text(encoding="utf-8")
    assert not (tmp_path / "elsewhere").exists()


def test_what_was_recognised_may_be_gone_and_the_sets_too(call, folder):
    shutil.rmtree(folder / "mlruns/store/outcomes")
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "dev.jsonl").write_text("", encoding="utf-8")
    (folder / "tiny.yaml").write_text(re.sub(r"dev: [^,}]+", f"dev: {folder}/dev.jsonl", text), encoding="utf-8")
    status, said = call("report", "tiny")
    assert status == 0, said.err
    page = Page((folder / "report-tiny.html").read_text(encoding="utf-8"))
    assert "is not in this store, so that its errors cannot be shown" in page.text
    assert "recognised is not in the store of this folder" in page.text


def test_test_figures_and_errors_are_shown_once_the_campaign_is_finalized(call, folder):
    campaign = read_campaign(folder / "tiny.yaml")
    Finalization(campaign, (), Home.here()).run(lambda record: None)
    assert call("report", "tiny")[0] == 0
    page = Page((folder / "report-tiny.html").read_text(encoding="utf-8"))
    assert "The test set was opened 1 time for 3 systems, 3 of them of this work" in page.text
    assert "square: test" in page.text
    assert "on dev:" in page.text
    assert "Those of test stand here with --split test" in page.text
    assert call("report", "tiny", "--study", "baseline", "--split", "test")[0] == 0
    page = Page((folder / "report-tiny.html").read_text(encoding="utf-8"))
    assert re.search(r"Errors of baseline, trial \d, on test: \d+ errors\. .* of 8 words", page.text)


@pytest.fixture
def page_of_digits(digits, tmp_path):
    done = shell("report", "digits", "--out", "digits.html")
    assert done.returncode == 0, done.stderr
    return (tmp_path / "digits.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_digits_campaign_is_reported_on_a_page_that_fetches_nothing(page_of_digits):
    html = page_of_digits
    assert re.search(r'<p class="short">.*(no difference|±).*</p>', html)
    assert fetched(Page(html)) == []
    assert len(html) < 300_000


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_reads_the_page_of_the_digits_campaign_at_any_width(page_of_digits, tmp_path):
    measuring = (
        "<script>document.title = [document.documentElement.scrollWidth > innerWidth, "
        "performance.getEntriesByType('resource').length, document.querySelectorAll('svg text').length].join()</script>"
    )
    copy = tmp_path / "measured.html"
    copy.write_text(page_of_digits.replace("</body>", f"{measuring}</body>"), encoding="utf-8")
    for width in (1200, 500):
        words = ("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom")
        command = [BROWSER, *words, f"--user-data-dir={tmp_path}/browser", copy.as_uri()]
        seen = subprocess.run(command, capture_output=True, text=True, check=False)
        wider, resources, words_drawn = re.search(r"<title>(\w+),(\d+),(\d+)</title>", seen.stdout).groups()
        assert (wider, resources) == ("false", "0")
        assert int(words_drawn) > 20
