"""Named studies in Optuna, whose storage is the truth about a campaign. Nothing else imports optuna."""

from orchestrator.sampling.point import Claim, Point
from orchestrator.sampling.reading import Choice
from orchestrator.sampling.storage import Sampling
from orchestrator.sampling.study import MAX_DEATHS, SampledStudy

__all__ = ["MAX_DEATHS", "Choice", "Claim", "Point", "SampledStudy", "Sampling"]
