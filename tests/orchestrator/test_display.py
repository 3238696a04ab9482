"""What a run shows of a trial that decodes for long, and of one that was stopped."""

import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from orchestrator.display import Lines, Screen, ending
from orchestrator.record import TrialRecord, TrialState
from trainers.spec import DecodingReport, Elimination, TrialOutcome

RUNNING = TrialRecord("tiny", "decoding", "decoding", 4, TrialState.RUNNING)
LOST = Elimination(80, 127, 41, "decoding#2", 22)


def part(decoded):
    return DecodingReport(decoded, 128, 0.5)


def test_a_log_has_a_line_for_every_quarter_of_a_set(capsys):
    lines = Lines("tiny")
    for decoded in range(8, 128, 8):
        lines.decoded(RUNNING, part(decoded))
    said = capsys.readouterr().out.splitlines()
    assert [line[9:] for line in said] == [
        "decoding#4 decoded 32 of 128 utterances, 48 s left",
        "decoding#4 decoded 64 of 128 utterances, 32 s left",
        "decoding#4 decoded 96 of 128 utterances, 16 s left",
    ]


def test_a_trial_that_is_decoded_again_is_told_again(capsys):
    lines = Lines("tiny")
    for _ in range(2):
        lines.decoded(RUNNING, part(64))
        lines.ended(replace(RUNNING, state=TrialState.WAITING))
    assert capsys.readouterr().out.count("decoded 64 of 128") == 2


def test_the_screen_shows_how_far_a_decoding_trial_is():
    screen = Screen("tiny")
    screen.started(RUNNING)
    screen.decoded(RUNNING, part(48))
    console = Console(width=100, file=io.StringIO())
    console.print(screen._render())
    (row,) = [line for line in console.file.getvalue().splitlines() if "decoding#4" in line]
    assert "48/128" in row
    assert "40 s" in row or "39 s" in row


@pytest.mark.parametrize("more", [(), ("searched by pyctcdecode: there is no compiler",)])
def test_a_stopped_trial_ends_with_what_it_lost_by(more):
    outcome = TrialOutcome(pruned=True, eliminated=LOST, notes=(str(LOST), *more))
    said = ending(replace(RUNNING, state=TrialState.PRUNED, outcome=outcome))
    assert said == "; ".join(("stopped: decoded 80 of 127 utterances, 41 errors where decoding#2 has 22", *more))


def test_how_a_trial_lost_is_read_back_as_it_was_written():
    outcome = TrialOutcome(pruned=True, eliminated=LOST)
    assert TrialOutcome.of(asdict(outcome)) == outcome
    plain = asdict(TrialOutcome())
    del plain["eliminated"]
    assert TrialOutcome.of(plain).eliminated is None
