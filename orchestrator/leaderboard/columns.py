"""The columns of the leaderboard and what stands in them."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's values are written."""

    TEXT = "text"
    COUNT = "count"
    POINTS = "points"
    """Percent, or points of percent; two digits."""
    PROBABILITY = "probability"
    RATIO = "ratio"
    HOURS = "hours"

    @property
    def digits(self) -> int | None:
        """Decimals to round to; None for what is not rounded."""
        return {Kind.POINTS: 2, Kind.PROBABILITY: 4, Kind.RATIO: 2, Kind.HOURS: 6}.get(self)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        kind: How its values are written.
        meaning: What it says.
    """

    kind: Kind
    meaning: str


_T, _C, _P, _Q, _R, _H = Kind.TEXT, Kind.COUNT, Kind.POINTS, Kind.PROBABILITY, Kind.RATIO, Kind.HOURS

COLUMNS = {
    "strategy": Column(_T, "strategy of the study"),
    "study": Column(_T, "name of the study"),
    "verdict": Column(_T, "better, worse or tie, against the baseline; baseline for itself; or not tested"),
    "dev_wer": Column(
        _P,
        "dev WER of the trial that stands for the study; optimistic: dev chose it. Where dev is parted, that of the "
        "part that judges, which did not",
    ),
    "dev_low": Column(_P, "lower end of its 95 % interval, by bootstrap over utterances"),
    "dev_high": Column(_P, "upper end"),
    "dev_corrected": Column(_P, "dev WER with what being the best of several trials took from it put back"),
    "tuning_wer": Column(_P, "WER of the same trial on the part of dev that tunes; empty where dev is not parted"),
    "tuned_on": Column(_C, "utterances of that part"),
    "judged_on": Column(_C, "utterances of the part that judges"),
    "best_dev_wer": Column(
        _P,
        "lowest dev WER of the search, on the part that tunes if dev is parted; another trial's where another stands "
        "for the study",
    ),
    "best_trial": Column(_C, "number of that trial"),
    "dev_mean": Column(
        _P, "mean dev WER of trials that differ by seed alone; where seeds confirm it, without the run that was chosen"
    ),
    "dev_sd": Column(_P, "their standard deviation"),
    "replicates": Column(_C, "how many they are"),
    "confirms": Column(_C, "trial of the search whose configuration the shown one trains again with a fresh seed"),
    "test_wer": Column(_P, "test WER; empty until test is opened"),
    "test_low": Column(_P, "lower end of its 95 % interval"),
    "test_high": Column(_P, "upper end"),
    "test_looks": Column(
        _C, "which look of its strategy at test that was; above 1 others of it were scored there before"
    ),
    "substitutions": Column(_C, "on dev"),
    "deletions": Column(_C, "on dev"),
    "insertions": Column(_C, "on dev"),
    "reference_words": Column(_C, "of dev"),
    "compared_on": Column(
        _T,
        "what the comparison is made on: test; dev, with the seeds of both; the part of dev that chose neither; or "
        "dev, which chose the systems",
    ),
    "difference": Column(_P, "WER less the baseline's on the same utterances; on dev corrected for the choice of both"),
    "difference_low": Column(_P, "lower end of its 95 % interval, by paired bootstrap"),
    "difference_high": Column(_P, "upper end"),
    "p": Column(_Q, "of the paired bootstrap"),
    "p_adjusted": Column(
        _Q, "that by Holm over all studies that are tested; below 0.05 the verdict is better or worse"
    ),
    "p_matched_pairs": Column(_Q, "of the matched pairs test (MAPSSWE), not corrected for anything"),
    "detectable": Column(_P, "the difference that this set finds with 80 %"),
    "hypothesis_low": Column(_P, "WER that the campaign expects, lower end"),
    "hypothesis_high": Column(_P, "upper end"),
    "hypothesis_held": Column(_T, "yes: inside; no: the whole interval is outside; open: neither"),
    "hypothesis_on": Column(_T, "the set that says so"),
    "trials": Column(_C, "in all"),
    "completed": Column(_C, "run to their end"),
    "pruned": Column(_C, "stopped because they were losing"),
    "failed": Column(_C, "that could not be run"),
    "running": Column(_C, "running now"),
    "waiting": Column(_C, "in the queue"),
    "confirmations": Column(_C, "of those that have ended, the ones that confirm what the search found"),
    "trials_over_baseline": Column(
        _C, "ended trials of the search more than the baseline's; with more trials search alone finds less WER"
    ),
    "cpu_hours": Column(_H, "of the processor, all trials in every state that has ended"),
    "gpu_hours": Column(_H, "wall time on a GPU, of the same"),
    "cpu_hours_with_needs": Column(_H, "with all trials of the studies it needs, directly or not, each counted once"),
    "gpu_hours_with_needs": Column(_H, "likewise"),
    "weights": Column(_C, "trained weights, of all members of an ensemble"),
    "inference_cost": Column(_R, "weights as times the baseline's: what a frame passes through before the search"),
    "members": Column(_T, "of an ensemble, with their shares"),
    "searches": Column(_C, "that an utterance takes in an ensemble"),
    "best_single": Column(_T, "best member of the same pool alone, under the same decoder and language model"),
    "best_single_wer": Column(_P, "its dev WER at the point of the study that suits it best"),
    "units": Column(_T, "units of the labels"),
    "decoder": Column(_T, "how dev was decoded"),
    "decoder_settings": Column(_T, "all of it, as JSON; empty for greedy decoding"),
    "decoder_tuned_on": Column(_T, "the set on which those were chosen; empty for greedy decoding"),
    "parameters": Column(_T, "the point of the search, as JSON"),
    "scorer": Column(_T, "name and version of the scorer"),
    "data": Column(_T, "fingerprints of the sets, as JSON"),
    "commit": Column(_T, "of this program when the trial was run"),
    "dirty": Column(_T, "whether its source differed from that commit"),
    "command": Column(_T, "what reproduces the row at that commit"),
    "seed": Column(_C, "of the training"),
    "trial": Column(_C, "number of the trial that stands for the study"),
    "run_id": Column(_T, "its run in MLflow"),
    "checkpoint": Column(_T, "folder of the home"),
    "promoted": Column(_T, "study: promoted for its study; champion: for the campaign"),
    "champion_trial": Column(_C, "number of the champion, where it is another trial of this study than the one shown"),
    "champion_dev_wer": Column(_P, "its dev WER"),
    "champion_test_wer": Column(_P, "its test WER; empty until test is opened"),
    "champion_test_looks": Column(_C, "which look of its strategy at test that was"),
    "remarks": Column(_T, "why something is not known, what is left out"),
}
