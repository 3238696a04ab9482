"""``orchestrator leaderboard``: WER per strategy, and whether the differences are more than noise."""

from pathlib import Path

import click

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.option("--csv", type=_FILE, help="Write every column to this file.")
@click.option("--markdown", type=_FILE, help="Write a table for readers to this file.")
@click.option("--latex", type=_FILE, help="Write one for papers (booktabs) to this file.")
@click.option("--json", "as_json", is_flag=True, help="For a program: every column.")
@click.option("--sort", "order", metavar="COLUMN", default="", help="Sort by a column; -COLUMN: the highest first.")
@click.option("--filter", "filters", metavar="COLUMN=VALUE", multiple=True, help="Show rows that have a value.")
@click.option("--speakers", is_flag=True, help="Resample whole speakers instead of utterances.")
def command(
    target: str,
    csv: Path | None,
    markdown: Path | None,
    latex: Path | None,
    as_json: bool,
    order: str,
    filters: tuple[str, ...],
    speakers: bool,
) -> int:
    """Compare the strategies of a campaign by WER.

    Each is better than the baseline, worse, a tie, or not tested.
    """
    from rich.console import Console

    from orchestrator import leaderboard as boards
    from orchestrator.champion import champion_among
    from orchestrator.home import Home
    from orchestrator.leaderboard import formats
    from orchestrator.leaderboard.terminal import board
    from orchestrator.leaderboard.view import arrange
    from orchestrator.stored import in_order, stored_studies
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.store import write_text

    path, study = find_campaign(target)
    if study is not None:
        raise UserError(f"a leaderboard compares the studies of a campaign; write {path.stem}, not {target}")
    campaign = read_campaign(path)
    studies = in_order(campaign, stored_studies(campaign.name, boards.looked_at))
    if not studies:
        raise UserError(
            f"campaign {campaign.name} has not been run here; run it with: orchestrator run {campaign.name}"
        )
    home = Home.here()
    evidence = boards.read_evidence(studies, home.store / "outcomes")
    champion = champion_among(home, campaign.name, studies)
    who = boards.read_speakers(campaign.data.dev) if speakers else None
    table = arrange(boards.leaderboard(studies, champion, campaign, evidence, who), order, filters)
    if csv is not None:
        write_text(csv, formats.as_csv(table))
    for file, form in ((markdown, formats.as_markdown), (latex, formats.as_latex)):
        if file is not None:
            write_text(file, form(table, campaign.name))
    if as_json:
        click.echo(formats.as_json(table))
        return 0
    Console(highlight=False).print(board(table))
    for file in filter(None, (csv, markdown, latex)):
        click.echo(f"\nwritten: {file}")
    return 0
