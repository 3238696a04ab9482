"""Which trials keep their weights: a rule over records."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.retention import Needed, begun_with, pools, surplus, weightless
from orchestrator.start import Configuration, Start
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Score
from trainers.spec import Ingredient, TrialOutcome

KEYS = "abcdefgh"


def trial(number, errors=None, key="", *, study="s", state=TrialState.COMPLETE, checkpoint=None, promoted=False):
    """A complete trial if it has errors; its checkpoint has its own key unless another is said."""
    score = None if errors is None else Score(errors, 0, 0, 100)
    made = key if checkpoint is None else checkpoint
    outcome = TrialOutcome(score=score, checkpoint=made, posteriors=f"p{made}") if score else None
    state = state if score or state is not TrialState.COMPLETE else TrialState.FAILED
    return TrialRecord("c", study, "baseline", number, state, key=key, outcome=outcome, promoted=promoted)


def study(*trials, name="s", **about):
    return StudyRecord("c", name, "baseline", trials, **about)


NOTHING = Needed()


def freed(studies, keep, checkpoints, needed=NOTHING):
    return {key for one in surplus(studies, keep, needed, checkpoints) for key in one.checkpoints}


def test_all_but_the_best_give_up_weights_and_their_posteriors():
    found = surplus(
        [study(trial(0, 30, "a"), trial(1, 10, "b"), trial(2, 20, "c"), trial(3, 20, "d"))],
        {"c/s": 2},
        Needed(),
        dict.fromkeys("abcd", ""),
    )
    assert [(one.trial.number, one.checkpoints, one.posteriors) for one in found] == [
        (0, ("a",), ("pa",)),
        (3, ("d",), ("pd",)),  # of equals the earlier stays
    ]


def test_a_study_that_is_not_named_keeps_everything():
    assert freed([study(trial(0, 30, "a"), trial(1, 10, "b"))], {}, dict.fromkeys("ab", "")) == set()
    assert freed([study(trial(0, 30, "a"), trial(1, 10, "b"))], {"d/s": 1}, dict.fromkeys("ab", "")) == set()


def test_a_checkpoint_stays_while_a_trial_of_any_study_has_the_same_key_or_decodes_it():
    ours = study(trial(0, 30, "a"), trial(1, 10, "b"), trial(2, 40, "d"))
    shared = StudyRecord("other", "s", "baseline", (replace(trial(0, 50, "a"), campaign="other"),))
    decoding = study(trial(0, 5, "k", study="decoding", checkpoint="d"), name="decoding")
    assert freed([ours, shared, decoding], {"c/s": 1}, dict.fromkeys("abd", "")) == set()
    assert freed([ours], {"c/s": 1}, dict.fromkeys("abd", "")) == {"a", "d"}


def test_what_runs_waits_or_was_chosen_to_stand_for_the_study_stays():
    trials = (
        trial(0, 30, "a", promoted=True),
        trial(1, 10, "b"),
        trial(2, None, "d", state=TrialState.RUNNING),
        trial(3, None, "e", state=TrialState.WAITING),
        trial(4, 40, "f"),
    )
    assert freed([study(*trials, promoted=0, promoted_beside=1)], {"c/s": 1}, dict.fromkeys("abdef", "")) == {"f"}


def test_what_is_needed_stays_whoever_needs_it():
    trials = study(trial(0, 30, "a"), trial(1, 10, "b"), trial(2, 40, "d"), trial(3, 50, "e"))
    checkpoints = dict.fromkeys("abde", "")
    assert freed([trials], {"c/s": 1}, checkpoints, Needed(frozenset("ae"))) == {"d"}
    assert freed([trials], {"c/s": 1}, checkpoints, Needed(studies=frozenset(["c/s"]))) == set()


def test_every_checkpoint_that_a_trial_made_goes_with_it_generations_and_leftovers_of_a_failure_included():
    several = study(trial(0, 30, "a", checkpoint="g2"), trial(1, 10, "b"), trial(2, None, "f"))
    makers = {"a": "", "g1": "c/s#0", "g2": "c/s#0", "b": "c/s#1", "h": "c/s#1", "x": "", "y": "c/s#2"}
    assert freed([several], {"c/s": 1}, makers) == {"a", "g1", "g2", "y"}


def test_the_keys_that_studies_have_begun_with_are_those_of_their_needs_and_of_what_they_repeat(tmp_path):
    def source(key):
        return Ingredient("baseline", tmp_path, key, 0)

    again = Configuration("student", 0, "self_distillation", {}, {"teacher": (source("t"),)})
    first = study(start=Start({"posteriors": (source("a"), source("b"))}).plain())
    second = study(start=Start(configuration=again).plain())
    assert begun_with([first, second, study()]) == {"a", "b", "t"}


def test_all_trials_of_a_pool_are_needed_until_the_study_that_combines_them_has_begun(tmp_path):
    combine = StrategySchema("combine", "", (), needs=(Need("pool", "", many=True, every_trial=True), Need("one", "")))
    catalogue = {"combine": combine, "baseline": StrategySchema("baseline", "", ())}
    later = StudyDefinition("later", "combine", needs={"pool": ("s", "r"), "one": ("t",)})
    campaign = Campaign("c", tmp_path, DataFiles(tmp_path, tmp_path), {}, {"later": later})
    assert pools(campaign, catalogue, []) == {"c/s", "c/r"}
    assert pools(campaign, catalogue, [study(name="later")]) == {"c/s", "c/r"}
    assert pools(campaign, catalogue, [study(name="later", start=Start().plain())]) == frozenset()


def test_a_trial_is_without_weights_if_its_checkpoint_is_not_in_the_store():
    trials = study(trial(0, 30, "a"), trial(1, 10, "b"), trial(2, None, "d", state=TrialState.RUNNING), trial(3, None))
    assert weightless(trials, {"b"}) == [0]


@st.composite
def homes(draw):
    """Studies that share keys, with a rule and a store."""
    studies = []
    for path in draw(st.lists(st.sampled_from(["c/s", "c/t", "d/s"]), unique=True, min_size=1)):
        campaign, name = path.split("/")
        states = st.sampled_from([TrialState.COMPLETE] * 4 + list(TrialState))
        trials = []
        for number in range(draw(st.integers(0, 6))):
            key, state = draw(st.sampled_from(KEYS)), draw(states)
            errors = draw(st.integers(1, 5)) if state is TrialState.COMPLETE else None
            checkpoint = draw(st.sampled_from([key, *KEYS]))
            made = trial(number, errors, key, study=name, state=state, checkpoint=checkpoint)
            trials.append(replace(made, campaign=campaign))
        studies.append(StudyRecord(campaign, name, "baseline", tuple(trials)))
    keep = {path: draw(st.integers(1, 3)) for path in draw(st.sets(st.sampled_from(["c/s", "c/t"])))}
    names = [one.name for each in studies for one in each.trials]
    makers = st.sampled_from(["", *names, "gone/study#0"])
    checkpoints = {key: draw(makers) for key in draw(st.sets(st.sampled_from(KEYS)))}
    needed = Needed(draw(st.frozensets(st.sampled_from(KEYS), max_size=2)))
    return studies, keep, needed, checkpoints


def staying_by_hand(each, keep, needed):
    path = f"{each.campaign}/{each.name}"
    complete = sorted((one for one in each.trials if one.dev_wer is not None), key=lambda one: one.dev_wer)
    best = complete[: keep.get(path, len(complete))]
    if path not in keep:
        return each.trials
    return [one for one in each.trials if one in best or not one.state.finished or one.key in needed]


@given(homes())
def test_nothing_that_is_needed_is_freed_and_everything_else_is(home):
    studies, keep, needed, checkpoints = home
    staying = [one for each in studies for one in staying_by_hand(each, keep, needed.keys)]
    going = [one for each in studies for one in each.trials if one not in staying]
    held = needed.keys | {one.key for one in staying} | {one.outcome.checkpoint for one in staying if one.outcome}
    held |= {key for key, maker in checkpoints.items() if maker in {one.name for one in staying}}
    found = surplus(studies, keep, needed, checkpoints)
    gone = {key for one in found for key in one.checkpoints}
    theirs = {one.key for one in going}
    names = {one.name for one in going}
    assert gone == {key for key, maker in checkpoints.items() if key not in held and (key in theirs or maker in names)}
    shown = {one.outcome.posteriors for one in staying if one.outcome}
    assert not {key for one in found for key in one.posteriors} & shown


@given(homes())
def test_freeing_twice_frees_nothing_more(home):
    studies, keep, needed, checkpoints = home
    gone = freed(studies, keep, checkpoints, needed)
    left = {key: maker for key, maker in checkpoints.items() if key not in gone}
    assert surplus(studies, keep, needed, left) == []


@given(homes())
def test_keeping_more_frees_no_more(home):
    studies, keep, needed, checkpoints = home
    more = {path: count + 1 for path, count in keep.items()}
    assert freed(studies, more, checkpoints, needed) <= freed(studies, keep, checkpoints, needed)
