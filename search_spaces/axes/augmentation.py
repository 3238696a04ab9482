"""Changes of targets and of the order in which they are seen; masks and warps are `search_spaces.axes.train`'s."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section


class AugmentationSettings(Section):
    """Label smoothing, mixup and curriculum; each is off as it comes.

    Attributes:
        smoothing: Share of the loss that draws the output towards a fixed distribution; 0.005 to 0.1 as a rule.
        smoothing_towards: ``uniform`` over all labels but the blank, or their ``unigram`` in the training set.
        mixup: Share of the utterances that are mixed with another of similar length; 0.15 to 0.3 as a rule.
        mixup_at: What is mixed: the ``input``, or the ``hidden`` frames between encoder and head.
        mixup_concentration: a of the Beta(a, a) that the weights of a mixture come from; a small one mixes little.
        curriculum: So many first epochs go from short utterances to long ones.
    """

    smoothing: float = Field(0.0, ge=0, lt=1)
    smoothing_towards: Literal["uniform", "unigram"] = "uniform"
    mixup: float = Field(0.0, ge=0, le=1)
    mixup_at: Literal["input", "hidden"] = "input"
    mixup_concentration: float = Field(0.4, gt=0, le=100)
    curriculum: int = Field(0, ge=0, le=10_000)
