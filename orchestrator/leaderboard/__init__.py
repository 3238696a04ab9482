"""Which strategy won, by how much, and whether that is more than noise: a pure function of records and errors."""

from orchestrator.leaderboard.board import leaderboard
from orchestrator.leaderboard.columns import COLUMNS
from orchestrator.leaderboard.evidence import Evidence, looked_at, read_evidence, read_speakers

__all__ = ["COLUMNS", "Evidence", "leaderboard", "looked_at", "read_evidence", "read_speakers"]
