"""Studies with a store of their own whose trials are told their results instead of being run."""

from dataclasses import replace

from orchestrator.home import Home
from orchestrator.planning import data_fingerprints
from orchestrator.sampling import Sampling
from orchestrator.study_run import StudyRun


def elsewhere(home):
    """Another home that nothing has been run in."""
    root = home.root.with_name("elsewhere")
    root.mkdir()
    return Home(root, f"sqlite:///{root}/optuna.db", f"sqlite:///{root}/mlflow.db")


def open_study(campaign, name, home, budget=None, **changes):
    """Open a study of a campaign after some changes of its definition."""
    study = replace(campaign.studies[name], **changes)
    campaign = replace(campaign, studies={**campaign.studies, name: study})
    return StudyRun.open(campaign, name, Sampling(home), data_fingerprints(campaign), budget)


def nothing_known(trial):
    """The errors by utterance of trials that recognised nothing."""
    return None


def work_through(run, finish, until=None):
    """Claim trials and have them finished until the study ends, or has so many; how it ended."""
    ending = None
    while not run.closed and (until is None or len(run.sampled.record().trials) < until):
        claims = run.claim()
        finish(run, claims)
        if not claims:
            ending = run.close(nothing_known)
    return ending
