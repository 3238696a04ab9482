"""``orchestrator leaderboard``: WER per strategy."""

from pathlib import Path

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to this file.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(target: str, csv: Path | None, as_json: bool) -> int:
    """Compare the strategies of a campaign by WER."""
    from rich.console import Console

    from orchestrator.leaderboard import leaderboard
    from orchestrator.promotion import best_of
    from orchestrator.stored import in_order, stored_studies
    from orchestrator.tables import board
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.store import write_text

    path, study = find_campaign(target)
    if study is not None:
        raise UserError(f"a leaderboard compares the studies of a campaign; write {path.stem}, not {target}")
    campaign = read_campaign(path)
    studies = in_order(campaign, stored_studies(campaign.name))
    if not studies:
        raise UserError(
            f"campaign {campaign.name} has not been run here; run it with: orchestrator run {campaign.name}"
        )
    champion = best_of(studies)
    table = leaderboard(studies, champion)
    if csv is not None:
        write_text(csv, table.to_csv(index=False))
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return 0
    Console(highlight=False).print(board(studies, champion))
    if csv is not None:
        click.echo(f"\nwritten: {csv}")
    return 0
