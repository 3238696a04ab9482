"""What a run says at its end."""

from collections.abc import Sequence

from rich.console import Console

from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard, read_evidence
from orchestrator.leaderboard.terminal import board
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import Campaign


def summary(campaign: Campaign, home: Home, records: Sequence[StudyRecord], champion: TrialRecord | None) -> int:
    """Show where the studies stand at the end of a run, and what to type next.

    Returns:
        The exit status: 1 if a study has no complete trial.
    """
    console = Console(highlight=False)
    console.print()
    evidence = read_evidence(records, home.store / "outcomes")
    console.print(board(leaderboard(records, champion, campaign, evidence)))
    empty = [study.name for study in records if study.best is None]
    if empty:
        console.print(f"[yellow]without a result: {', '.join(empty)}; logs are under {home.logs}[/]")
    console.print(f"\nNext: orchestrator leaderboard {campaign.name} --csv leaderboard.csv")
    console.print("      orchestrator ui")
    return 1 if empty else 0
