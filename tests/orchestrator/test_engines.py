"""The life of a job, for every engine: what an engine promises the runner, not how it keeps it."""

import os
import signal
import time
from dataclasses import replace

import pytest

from orchestrator.engines.engine import Died, Failed, Finished, Job, Reported
from orchestrator.engines.local import LocalEngine
from orchestrator.planning import data_fingerprints, make_spec
from orchestrator.sampling import Claim
from orchestrator.start import Start
from tests.orchestrator.running import processes

ENGINES = {"local": LocalEngine}


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    made = ENGINES[request.param](2)
    yield made
    made.stop()


@pytest.fixture
def job(tiny_campaign, tmp_path):
    campaign = tiny_campaign.read()
    data = data_fingerprints(campaign)

    def make(*numbers, **params):
        point = {name.replace("__", "."): value for name, value in params.items()}
        claims = [Claim(number, point, {}, "") for number in numbers or (0,)]
        specs = (make_spec(campaign, campaign.studies["baseline"], claim, Start(), data) for claim in claims)
        return Job(tuple(specs), tiny_campaign.home.store, tmp_path / "logs")

    return make


def collect(engine, until, answer=True, seconds=60):
    """Everything that happens until an event of a kind, epochs answered."""
    seen, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in engine.events(timeout=1.0):
            seen.append(event)
            if isinstance(event, Reported):
                engine.answer(event.trial, answer)
            if isinstance(event, until):
                return seen
    raise AssertionError(f"no {until} within {seconds} s, only {seen}")


def drain(engine):
    """How every trial ended, epochs answered."""
    seen = []
    while engine.free < 2:
        for event in engine.events(timeout=1.0):
            if isinstance(event, Reported):
                engine.answer(event.trial, True)
            else:
                seen.append(event)
    return seen


def test_a_job_reports_every_epoch_and_finishes(engine, job):
    engine.start(job())
    *reports, last = collect(engine, Finished)
    assert [event.report.epoch for event in reports] == [1, 2, 3, 4]
    assert last.trial == "baseline#0"
    assert last.outcome.score.words == 8


def test_jobs_run_at_the_same_time_and_keep_apart(engine, job):
    for number in range(2):
        engine.start(job(number, train__lr=0.02 + number / 1000))
    seen = collect(engine, Finished) + collect(engine, Finished)
    assert {event.trial for event in seen if isinstance(event, Finished)} == {"baseline#0", "baseline#1"}


def test_the_trials_of_a_job_run_one_after_another_in_one_process(engine, job):
    engine.start(job(3, 4))
    assert engine.free == 1
    assert [(type(event), event.trial) for event in drain(engine)] == [
        (Finished, "baseline#3"),
        (Finished, "baseline#4"),
    ]
    assert [path.name for path in job().logs.iterdir()] == ["3.log"]


def test_a_trial_that_cannot_be_run_takes_no_other_of_its_job_with_it(engine, job, tmp_path):
    good, bad, last = job(0, 1, 2).specs
    bad = replace(bad, dev=tmp_path / "missing.jsonl", data={**bad.data, "dev": "of another set"})
    engine.start(replace(job(), specs=(good, bad, last)))
    seen = drain(engine)
    kinds = {event.trial: type(event) for event in seen}
    assert kinds == {"baseline#0": Finished, "baseline#1": Failed, "baseline#2": Finished}
    assert "missing.jsonl" in next(event.error for event in seen if isinstance(event, Failed))


def test_a_job_that_is_killed_is_noticed_for_each_trial_that_had_not_ended(engine, job):
    engine.start(replace(job(), specs=job(0).specs + job(1, train__lr=0.025).specs))
    ended = []
    while not ended:
        for event in engine.events(timeout=1.0):
            if isinstance(event, Reported) and event.trial == "baseline#0":
                engine.answer(event.trial, True)
            elif isinstance(event, Finished):
                ended.append(event.trial)
    # the second trial waits for an answer, now or in a moment
    os.kill(max(processes(), key=lambda p: p.create_time()).pid, signal.SIGKILL)
    assert [(type(event), event.trial) for event in drain(engine)] == [(Died, "baseline#1")]


def test_a_job_that_is_told_to_stop_finishes_as_pruned(engine, job):
    engine.start(job())
    *reports, last = collect(engine, Finished, answer=False)
    assert len(reports) == 1
    assert last.outcome.pruned


def test_an_error_that_a_user_can_mend_is_passed_on_as_its_message(engine, job, tiny_campaign):
    broken = job()
    text = tiny_campaign.read().data.train.read_text(encoding="utf-8").replace("YES", " ".join(["YES"] * 99), 1)
    manifest = tiny_campaign.folder / "train.jsonl"
    manifest.write_text(
        text.replace("features/", f"{tiny_campaign.read().data.train.parent}/features/"), encoding="utf-8"
    )
    spec = replace(broken.specs[0], train=manifest)
    engine.start(Job((spec,), broken.store, broken.logs))
    (event,) = collect(engine, Failed)
    assert "frames" in event.error
    assert "Traceback" not in event.error


def test_a_job_whose_process_is_killed_is_noticed_and_its_log_stays(engine, job):
    engine.start(job())
    victim = None
    deadline = time.monotonic() + 60
    while victim is None and time.monotonic() < deadline:
        for event in engine.events(timeout=0.1):
            if isinstance(event, Reported):
                victim = max(processes(), key=lambda p: p.create_time())
    os.kill(victim.pid, signal.SIGKILL)
    (event,) = collect(engine, Died)
    assert "SIGKILL" in event.reason
    assert (job().logs / "0.log").is_file()


def test_a_process_that_is_killed_before_its_epoch_is_heard_can_still_be_answered(engine, job):
    engine.start(job())
    (worker,) = engine._workers
    assert worker.channel.poll(60)
    worker.process.kill()
    worker.process.join(10)
    seen = []
    while engine.free < 2:
        for event in engine.events(timeout=1.0):
            seen.append(type(event))
            if isinstance(event, Reported):
                engine.answer(event.trial, True)
    assert seen == [Reported, Died]


def test_a_stopped_engine_leaves_no_process_and_can_go_on(engine, job):
    engine.start(job())
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < 5
    assert not [p for p in processes() if "forkserver" not in " ".join(p.cmdline())]
    engine.start(job())
    collect(engine, Finished)


def test_waiting_for_nothing_takes_the_time_it_was_given(engine):
    began = time.monotonic()
    assert engine.events(timeout=0.2) == []
    assert time.monotonic() - began >= 0.2
