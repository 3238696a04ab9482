r"""The weighted geometric mean of posteriors, frame by frame: :math:`p(v) \propto \prod_k p_k(v)^{w_k}`.

A product of experts: a label is likely where no member rules it out. What is said of the arithmetic mean of networks
that were trained apart holds more so here.
"""

from search_spaces.axes.section import Section
from trainers.artifacts import Posteriors
from trainers.combining.means import averaged, stack_frames
from trainers.combining.members import Pool
from trainers.combining.rule import PosteriorRule


class GeometricSettings(Section):
    """There is nothing to set but the members' weights."""


class Geometric(PosteriorRule):
    """The mean of log-probabilities, normalised."""

    name = "geometric"
    summary = "the normalised product of the members' posteriors, for checkpoints whose spikes line up"
    Settings = GeometricSettings

    def fuse(self, pool: Pool) -> Posteriors:
        """The posteriors of the ensemble."""
        shares, log_probs = stack_frames(pool)
        return averaged(pool, (shares * log_probs).sum(axis=0))
