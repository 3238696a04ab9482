r"""How much the dev WER of one configuration moves with its seed alone.

Trials are replicates if nothing but ``train.seed`` tells their settings and what they start from apart. Of n of them
with standard deviation s, two more runs of the same configuration differ by less than

.. math:: t_{0.975,\, n-1} \, \sqrt{2} \, s

in 95 of 100 cases (Student 1908; t tends to 1.96 as n grows, and is 2.78 for five): a smaller difference between two
single runs is no difference. Whatever the replicates share, such as the teacher, is not part of the noise.
"""

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

from orchestrator.confirmed import configuration_of, replicates
from orchestrator.record import StudyRecord


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """Dev WERs of one configuration, trained with several seeds.

    Attributes:
        wers: One a seed, percent; two at least.
    """

    wers: tuple[float, ...]

    @property
    def replicates(self) -> int:
        """How many seeds."""
        return len(self.wers)

    @property
    def mean(self) -> float:
        """Percent."""
        return fmean(self.wers)

    @property
    def sd(self) -> float:
        """Standard deviation with n - 1, points of percent."""
        return stdev(self.wers)

    @property
    def difference(self) -> float:
        """What two single runs that differ by seed alone stay below in 95 of 100 cases, points of percent."""
        return float(stdtrit(self.replicates - 1, 0.975)) * math.sqrt(2) * self.sd

    def __str__(self) -> str:
        return (
            f"seed noise: sd {self.sd:.1f} points over {self.replicates} seeds ({min(self.wers):.1f} to "
            f"{max(self.wers):.1f} %): a difference of two single runs below about {self.difference:.1f} points is no "
            "difference"
        )


def seed_noise(study: StudyRecord) -> SeedNoise | None:
    """The seed noise of a study: of the confirmed configuration, without the run that the search chose.

    Of a study that has confirmed none, of the configuration with the most seeds, of equals that of the lowest mean.

    Args:
        study: The study with all its trials; those that are not complete do not count.

    Returns:
        None where no configuration has two seeds.
    """
    found: dict[str, dict[int, float]] = {}
    for trial in replicates(study) or study.searched:
        if trial.dev_wer is not None and trial.seed is not None:
            found.setdefault(configuration_of(trial), {})[trial.seed] = trial.judged_wer or 0.0
    noises = [SeedNoise(tuple(wers.values())) for wers in found.values() if len(wers) > 1]
    return min(noises, key=lambda noise: (-noise.replicates, noise.mean), default=None)
