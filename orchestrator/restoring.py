"""Training a trial once more whose weights were freed: the same spec gives the same weights."""

from orchestrator.engines.engine import Died, Engine, Failed, Finished, Job, Reported
from orchestrator.home import Home
from orchestrator.observer import Observer
from orchestrator.planning import stored_spec
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.start import pinned_start
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from trainers.store import Store


def restore(
    campaign: Campaign, study: StudyRecord, trial: TrialRecord, home: Home, engine: Engine, observer: Observer
) -> None:
    """Train a trial once more; its record stays as it is.

    Args:
        campaign: The campaign, as its file has it.
        study: The trial's study.
        trial: A complete trial.
        home: Where its results are.
        engine: Where it runs.
        observer: Told its epochs.

    Raises:
        UserError: It would not be the same trial any more, or it cannot be run.
    """
    store = Store(home.store)
    spec = stored_spec(campaign, trial, pinned_start(study.start, store))
    if spec.key != trial.key:
        raise UserError(
            f"{trial.name} cannot be trained again to the same weights: the program, or a file that it was made from, "
            "has changed since; run its parameters in a study of another name"
        )
    engine.start(Job((spec,), home.store, home.logs / campaign.name / study.name))
    try:
        while True:
            for event in engine.events(timeout=1.0):
                match event:
                    case Reported(name, report):
                        engine.answer(name, True)
                        observer.epoch(trial, report)
                    case Finished():
                        return
                    case Failed(_, error):
                        raise UserError(f"{trial.name}: {error}")
                    case Died(_, reason):
                        raise UserError(
                            f"{trial.name}: its process was {reason}; the same command goes on where it was"
                        )
    finally:
        engine.stop()
