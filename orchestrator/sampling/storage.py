"""Optuna's storage of a home, and the studies in it."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.home import Home
from orchestrator.record import StudyRecord
from orchestrator.sampling.choice import enqueue
from orchestrator.sampling.point import Point
from orchestrator.sampling.reading import Choice, read_studies
from orchestrator.sampling.search import Search
from orchestrator.sampling.study import SampledStudy
from orchestrator.sqlite import tune_connections
from search_spaces.errors import StoreError
from search_spaces.space import Space


class Sampling:
    """All studies of a home.

    Args:
        home: Where the database is.

    Raises:
        StoreError: The database cannot be opened.
    """

    def __init__(self, home: Home) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        tune_connections()
        self._home = home
        try:
            # a fresh SQLite file does not survive several processes that make its tables at once
            with FileLock(home.lock("optuna")):
                database = optuna.storages.RDBStorage(home.storage_url)
        except (SQLAlchemyError, RuntimeError, OSError) as error:
            raise StoreError(f"cannot open the trials' database of {home.root}: {_plain(error)}") from error
        self._engine = database.engine
        self._storage = optuna.storages.get_storage(database)

    def campaigns(self) -> list[str]:
        """Names of the campaigns of which a study is stored."""
        return list(dict.fromkeys(name.split("/")[0] for name in optuna.get_all_study_names(self._storage)))

    def names(self, campaign: str) -> list[str]:
        """Names of the stored studies of a campaign, in the order in which they were made."""
        prefix = f"{campaign}/"
        summaries = optuna.get_all_study_names(self._storage)
        return [name.removeprefix(prefix) for name in summaries if name.startswith(prefix)]

    def records(self, campaign: str, whole: Choice | None = None) -> list[StudyRecord]:
        """Every stored study of a campaign with all its trials.

        Args:
            campaign: Name of the campaign.
            whole: Says of a study which trials to read whole, unless they differ by seed; None reads all. Of the
                others only state, times, and the outcome but for its epochs are read.
        """
        return read_studies(self._engine, campaign, whole)

    def load(self, campaign: str, name: str) -> SampledStudy:
        """A stored study of a campaign, whatever its definition."""
        study = Search(f"{campaign}/{name}", self._storage)
        return SampledStudy(study, self._storage, FileLock(self._home.lock("claim")), campaign, name)

    def open(
        self,
        campaign: str,
        name: str,
        strategy: str,
        definition: Mapping[str, Any],
        space: Space,
        points: Sequence[Point],
    ) -> SampledStudy:
        """Open a study, made now if it is new.

        Args:
            campaign: Name of the campaign.
            name: Name of the study.
            strategy: Name of its strategy.
            definition: All that its trials' results depend on, as plain values.
            space: The axes.
            points: What to try first; put in the queue when the study is made.

        Raises:
            StudyMismatchError: It was made from another definition.
        """
        with FileLock(self._home.lock("claim")):
            full = f"{campaign}/{name}"
            if full not in optuna.get_all_study_names(self._storage):
                study = optuna.create_study(study_name=full, storage=self._storage, direction="minimize")
                for point in points:
                    enqueue(study, point)
                study.set_user_attr("strategy", strategy)
                study.set_user_attr("definition", dict(definition))
        opened = self.load(campaign, name)
        opened.space = space
        opened.refuse_other(definition)
        return opened


def _plain(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).split("\n")[0]
