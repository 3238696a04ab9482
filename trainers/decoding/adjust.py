r"""Posteriors changed before a search, so that every search reads the same.

.. math::

    \log q(v) = \tfrac{1}{\tau} \log p(v) - \lambda \log \pi(v) + b\,[v = \text{blank}] - \log Z

with temperature :math:`\tau`, prior scale :math:`\lambda`, label prior :math:`\pi` and blank bias :math:`b`. Division
by the prior turns posteriors into scaled likelihoods (Bourlard & Morgan 1994; for CTC: Sak et al. 2015). :math:`Z`
makes each frame sum to one again: it adds the same to every hypothesis, so it cannot reorder them, and it keeps the
threshold on labels a threshold on probabilities.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Posteriors


def adjusts(settings: DecodingSettings) -> bool:
    """Whether these settings change posteriors at all."""
    return settings.prior_scale != 0 or settings.temperature != 1 or settings.blank_bias != 0


def adjust(
    log_probs: NDArray[np.float32], settings: DecodingSettings, prior: NDArray[np.float64] | None = None, blank: int = 0
) -> NDArray[np.float32]:
    """Log-probabilities as a search shall read them.

    Args:
        log_probs: (frames, labels), natural log, normalised.
        settings: Neutral settings give back the very same array.
        prior: Probability of every label, (labels,); read only where ``prior_scale`` is not 0.
        blank: Column of the blank.

    Returns:
        (frames, labels), natural log, normalised.

    Raises:
        ValueError: A prior is asked for and there is none.
    """
    if not adjusts(settings):
        return log_probs
    scores = np.asarray(log_probs, np.float64) / settings.temperature
    if settings.prior_scale:
        if prior is None:
            raise ValueError("prior_scale needs the label prior of the checkpoint")
        scores -= settings.prior_scale * np.log(prior)
    scores[:, blank] += settings.blank_bias
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return scores.astype(np.float32)


def adjust_set(
    posteriors: Posteriors, settings: DecodingSettings, prior: NDArray[np.float64] | None = None
) -> Posteriors:
    """The posteriors of a set as a search shall read them; see `adjust`."""
    if not adjusts(settings):
        return posteriors
    return replace(posteriors, log_probs=adjust(posteriors.log_probs, settings, prior, posteriors.blank))
