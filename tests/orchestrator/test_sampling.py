import multiprocessing
import time
from dataclasses import replace

import pytest

from orchestrator.owner import Owner
from orchestrator.record import TrialState
from orchestrator.sampling import MAX_DEATHS, Point, Sampling
from search_spaces.campaign import PrunerSettings, SamplerSettings
from search_spaces.errors import StoreError, StudyMismatchError
from search_spaces.space import Axis, Categorical, Float, Int, Space
from trainers.artifacts import Score
from trainers.spec import EpochReport, TrialOutcome

SPACE = Space((Axis("train.lr", Float(1e-3, 1e-2, log=True)), Axis("model.layers", Int(1, 4))))
TPE = SamplerSettings()


def open_study(home, space=SPACE, points=(), definition=None, name="baseline"):
    return Sampling(home).open("c", name, "baseline", definition or {"a": 1}, space, points)


def claim(study, budget=10, sampler=TPE, seed=1):
    return next(iter(study.claim(Owner.me(), budget, sampler, seed)), None)


def outcome(errors=3, seconds=1.0):
    return TrialOutcome(score=Score(errors, 0, 0, 10), seconds=seconds, checkpoint="k")


def report(epoch, wer, blank=0.5, epochs=10):
    return EpochReport(epoch, epochs, 1.0, wer, blank, 1e-3, 1.0, 0.1)


def test_queued_points_come_first_and_as_they_were_written(home):
    study = open_study(home, points=[Point({"train.lr": 5e-3}, {}), Point({"train.lr": 2e-3, "model.layers": 3}, {})])
    assert claim(study).params["train.lr"] == 5e-3
    assert claim(study).params == {"train.lr": 2e-3, "model.layers": 3}
    third = claim(study).params
    assert SPACE.axes[0].range.contains(third["train.lr"])
    assert SPACE.axes[1].range.contains(third["model.layers"])


def test_points_are_queued_once_however_often_a_study_is_opened(home):
    points = [Point({"train.lr": 5e-3}, {})]
    open_study(home, points=points)
    study = open_study(home, points=points)
    assert len(study.record().trials) == 1


def test_a_reference_is_shown_with_its_settings_and_not_with_the_point_it_stands_at(home):
    study = open_study(home, points=[Point({"train.lr": 1e-3, "model.layers": 1}, {"decoding.method": "greedy"})])
    taken = claim(study)
    assert taken.overrides == {"decoding.method": "greedy"}
    assert study.trial(0).params["decoding.method"] == "greedy"


def test_a_budget_is_never_exceeded(home):
    study = open_study(home)
    taken = [claim(study, budget=3) for _ in range(5)]
    assert [bool(one) for one in taken] == [True, True, True, False, False]


def test_an_interrupted_trial_comes_back_with_its_number_and_its_point(home):
    study = open_study(home)
    first, _ = claim(study), claim(study)
    study.note_trial(0, "run_id", "r0")
    study.release(0)
    assert study.trial(0).state is TrialState.WAITING
    again = claim(study)
    assert (again.number, again.params, again.run_id) == (0, first.params, "r0")


def test_a_trial_that_waits_is_taken_even_when_the_budget_is_used_up(home):
    study = open_study(home)
    claim(study, budget=1)
    study.release(0)
    assert claim(study, budget=1).number == 0


def test_trials_of_a_dead_owner_go_back_to_the_queue_and_those_of_the_living_do_not(home):
    study = open_study(home)
    claim(study)
    study.claim(replace(Owner.me(), boot="an earlier one"), 10, TPE, 1)
    assert study.reap(time.time()) == [1]
    assert [trial.state for trial in study.record().trials] == [TrialState.RUNNING, TrialState.WAITING]


def test_a_trial_whose_process_keeps_dying_fails_in_the_end(home):
    study = open_study(home)
    for _ in range(MAX_DEATHS - 1):
        claim(study, budget=1)
        assert study.release(0, died=True)
    claim(study, budget=1)
    assert not study.release(0, died=True)
    assert study.trial(0).state is TrialState.FAILED
    assert f"died {MAX_DEATHS} times" in study.trial(0).error


def test_an_interruption_is_no_death(home):
    study = open_study(home)
    for _ in range(MAX_DEATHS + 1):
        claim(study, budget=1)
        assert study.release(0)


def test_another_definition_is_refused_and_the_difference_is_named(home):
    open_study(home, definition={"settings": {"train": {"epochs": 12, "lr": 1e-3}}})
    with pytest.raises(StudyMismatchError, match=r"settings\.train\.epochs: was 12, is now 20") as caught:
        open_study(home, definition={"settings": {"train": {"epochs": 20, "lr": 1e-3}}})
    assert "lr" not in str(caught.value)


def test_records_say_what_became_of_each_trial(home):
    study = open_study(home)
    for _ in range(3):
        claim(study)
    study.report(1, report(1, 50.0), PrunerSettings(kind="none"))
    study.complete(0, outcome(errors=3))
    study.complete(1, TrialOutcome(pruned=True, epochs=(report(1, 50.0),)))
    study.fail(2, "no such file")
    first, second, third = Sampling(home).records("c")[0].trials
    assert (first.state, first.dev_wer, first.outcome) == (TrialState.COMPLETE, 30.0, outcome(errors=3))
    assert (second.state, second.dev_wer, second.curve) == (TrialState.PRUNED, None, {1: 50.0})
    assert second.outcome.epochs == (report(1, 50.0),)
    assert (third.state, third.error) == (TrialState.FAILED, "no such file")


def test_a_trial_that_is_told_twice_keeps_its_first_result(home):
    study = open_study(home)
    claim(study)
    study.complete(0, outcome(errors=3))
    study.complete(0, outcome(errors=5))
    study.fail(0, "too late")
    assert (study.trial(0).dev_wer, study.trial(0).error) == (30.0, "")


def test_an_epoch_that_was_never_reported_is_known_when_the_trial_ends(home):
    study = open_study(home)
    claim(study)
    study.report(0, report(1, 60.0), PrunerSettings(kind="none"))
    epochs = tuple(report(epoch, wer) for epoch, wer in ((1, 60.0), (2, 50.0), (3, 40.0)))
    study.complete(0, replace(outcome(), epochs=epochs))
    assert study.trial(0).curve == {1: 60.0, 2: 50.0, 3: 40.0}


def test_a_worker_that_was_taken_for_dead_may_still_bring_its_result(home):
    study = open_study(home)
    claim(study)
    study.release(0)
    study.complete(0, outcome(errors=3))
    assert study.trial(0).state is TrialState.COMPLETE


def test_the_median_pruner_stops_a_losing_trial(home):
    study, pruner = open_study(home), PrunerSettings(startup=1, warmup=0)
    for number, wer in enumerate((20.0, 90.0)):
        claim(study)
        kept = study.report(number, report(1, wer), pruner)
        if number == 0:
            study.complete(0, outcome())
    assert not kept


@pytest.mark.parametrize("kind", ["median", "hyperband", "none"])
def test_every_pruner_lets_the_best_trial_live_and_only_none_lets_every_other(home, kind):
    early = {"startup": 1, "warmup": 0} if kind == "median" else {}
    study, pruner = open_study(home), PrunerSettings(kind=kind, **early)
    kept = {}
    for number in range(8):
        claim(study)
        kept[number] = all(
            study.report(number, report(epoch, 20.0 + 5 * number, epochs=9), pruner) for epoch in range(1, 10)
        )
        study.complete(number, outcome(errors=number) if kept[number] else TrialOutcome(pruned=True))
    assert kept[0]
    assert all(kept.values()) == (kind == "none")


def test_no_trial_is_stopped_before_it_has_left_the_blank_plateau(home):
    study, pruner = open_study(home), PrunerSettings(startup=1, warmup=0)
    claim(study)
    for epoch in (1, 2, 3):
        study.report(0, report(epoch, 20.0), pruner)
    study.complete(0, outcome())
    claim(study)
    assert study.report(1, report(1, 100.0, blank=1.0), pruner)
    assert study.report(1, report(2, 100.0, blank=0.99), pruner)
    assert not study.report(1, report(3, 99.0, blank=0.9), pruner)


def test_the_last_epoch_is_never_thrown_away(home):
    study, pruner = open_study(home), PrunerSettings(startup=1, warmup=0)
    claim(study)
    study.report(0, report(2, 20.0, epochs=2), pruner)
    study.complete(0, outcome())
    claim(study)
    assert study.report(1, report(2, 90.0, epochs=2), pruner)


@pytest.mark.parametrize("kind", ["tpe", "random", "gp", "cmaes"])
def test_every_sampler_stays_within_the_space_and_repeats_after_a_restart(home, kind):
    sampler = SamplerSettings(kind=kind, startup=2)
    space = Space((*SPACE.axes, Axis("x", Categorical(("a", "b")))))

    def points(name):
        found = []
        for number in range(6):
            study = open_study(home, space=space, name=name)  # opened anew each time, as after a restart
            taken = claim(study, sampler=sampler)
            for axis in space:
                assert axis.range.contains(taken.params[axis.name])
            study.complete(number, outcome(errors=number))
            found.append(taken.params)
        return found

    first = points("one")
    assert first == points("two")
    assert len({tuple(point.values()) for point in first}) == 6


def test_a_conditional_axis_is_sampled_only_where_its_condition_holds(home):
    space = Space((Axis("kind", Categorical(("a", "b"))), Axis("depth", Int(1, 3), when={"kind": "a"})))
    study = open_study(home, space=space)
    for number in range(12):
        taken = claim(study, budget=12)
        assert ("depth" in taken.params) == (taken.params["kind"] == "a")
        study.complete(number, outcome(errors=number))


def _take(home, queue):
    study = open_study(home)
    while (taken := claim(study, budget=24)) is not None:
        queue.put(taken.number)
    queue.put(None)


def test_no_trial_is_claimed_twice_by_processes_that_claim_at_once(home):
    study = open_study(home, points=[Point({"model.layers": 1 + i % 4}, {}) for i in range(16)])
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_take, args=(home, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    taken, done = [], 0
    while done < len(processes):
        number = queue.get(timeout=120)
        done += number is None
        taken += [] if number is None else [number]
    for process in processes:
        process.join()
    assert sorted(taken) == list(range(24))
    assert len(study.record().trials) == 24


def test_a_database_that_is_none_is_a_plain_error(home):
    (home.root / "optuna.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="cannot open the trials' database"):
        Sampling(home)
