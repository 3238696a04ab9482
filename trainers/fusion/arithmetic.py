r"""The weighted arithmetic mean of posteriors, frame by frame: :math:`p(v) = \sum_k w_k p_k(v)`.

For checkpoints of one run, and for members that were trained to spike on the same frames. Networks that were trained
apart do not, so that the blank wins where only one of them has a label.
"""

import numpy as np

from search_spaces.axes.section import Section
from trainers.artifacts import Posteriors
from trainers.combining.means import averaged, stack_frames
from trainers.combining.members import Pool
from trainers.combining.rule import PosteriorRule


class ArithmeticSettings(Section):
    """There is nothing to set but the members' weights."""


class Arithmetic(PosteriorRule):
    """The mean of probabilities."""

    name = "arithmetic"
    summary = "the mean of the members' posteriors, for checkpoints whose spikes line up"
    Settings = ArithmeticSettings

    def fuse(self, pool: Pool) -> Posteriors:
        """The posteriors of the ensemble."""
        shares, log_probs = stack_frames(pool)
        return averaged(pool, np.logaddexp.reduce(np.log(shares) + log_probs, axis=0))
