"""The report of a campaign as a run in MLflow, beside the runs of its studies."""

from orchestrator.home import Home
from orchestrator.tracking.projection import Projection
from orchestrator.tracking.quiet_mlflow import FAILURES, first_line
from orchestrator.tracking.store import RunStore
from search_spaces.errors import StoreError

_NAME = "report"


def show_page(home: Home, campaign: str, page: str) -> str:
    """Make a page the artifact ``report.html`` of the campaign's run ``report``, in the place of an earlier one.

    Args:
        home: Whose tracking store is used.
        campaign: Name of the campaign.
        page: HTML.

    Returns:
        Why that failed; empty where it did not. Nobody's work may fail because of MLflow.
    """
    tags = {"campaign": campaign, "report_of": campaign, "mlflow.source.name": "orchestrator"}
    shown = Projection(_NAME, "FINISHED", {}, {}, (), {**tags, "mlflow.source.type": "LOCAL"})
    try:
        store = RunStore(home)
        found = store.search(campaign, {"report_of": campaign})
        run = found[0] if found else store.create(campaign, shown, None)
        store.log_text(run, page, f"{_NAME}.html")
        store.bring(run, shown)
    except (*FAILURES, StoreError) as error:
        return first_line(error)
    return ""
