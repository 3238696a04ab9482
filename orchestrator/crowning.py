"""The ends of studies and of a run: what is said of each study, and who is champion of the campaign."""

from orchestrator.champion import champion_among
from orchestrator.home import Home
from orchestrator.observer import Observer
from orchestrator.promotion import Champions, best_of, better_without_network
from orchestrator.record import StudyRecord
from orchestrator.sampling import Sampling
from orchestrator.seed_noise import seed_noise
from orchestrator.stored import in_order
from orchestrator.study_run import Ending
from search_spaces.campaign import Campaign


def announce(ending: Ending, record: StudyRecord, observer: Observer) -> None:
    """Say how a study ended.

    Args:
        ending: How.
        record: The study as it stands then.
        observer: Who is told.
    """
    if ending.promoted is not None:
        observer.promoted(ending.promoted, "study")
    if ending.remark:
        observer.note(f"study {record.name}: {ending.remark}")
    if record.best is None:
        observer.warn(f"study {record.name} has no complete trial")
    noise = seed_noise(record)
    if noise is not None:
        observer.note(f"study {record.name}: {noise}")
    for sentence in ending.advice:
        observer.warn(sentence)


def crown(campaign: Campaign, home: Home, sampling: Sampling, champions: Champions, observer: Observer) -> None:
    """Let the best promoted trial of a campaign challenge its champion.

    Args:
        campaign: The campaign.
        home: Where its results are.
        sampling: Its studies.
        champions: The exported systems.
        observer: Who is told.
    """
    stored = sampling.records(campaign.name)
    studies = in_order(campaign, stored)
    best = best_of(studies)
    if best is not None:
        decision = champions.challenge(best, stored, campaign.promotion)
        if decision.passes:
            observer.promoted(best, "champion")
        observer.note(f"{best.study}#{best.number}: {decision.reason}")
    better = better_without_network(studies, champion_among(home, campaign.name, stored))
    if better:
        observer.warn(better)
