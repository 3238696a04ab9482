"""``orchestrator report``: a campaign on one page, the answer first."""

from pathlib import Path

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file; report-CAMPAIGN.html here.")
@click.option("--study", help="Whose errors are analysed: of this study instead of the champion.")
@click.option(
    "--split",
    type=click.Choice(["dev", "test"]),
    default="dev",
    show_default=True,
    help="On which set; test once the campaign is finalized.",
)
def command(target: str, out: Path | None, study: str | None, split: str) -> int:
    """Write a campaign's results as one HTML page that needs no network.

    What each strategy changed and what it cost, figures, errors, and a methods paragraph. The page becomes an artifact
    in MLflow too; the same command makes it anew.
    """
    from orchestrator.home import Home
    from orchestrator.report import is_report, read_material, render
    from orchestrator.tracking.page import show_page
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.store import write_text

    path, named = find_campaign(target)
    if named is not None:
        raise UserError(f"a report is of a campaign; write {path.stem} --study {named}, not {target}")
    campaign = read_campaign(path)
    file = out or Path(f"report-{campaign.name}.html")
    if file.exists() and not is_report(file):
        raise UserError(f"{file} is no report of this program and is not replaced; choose another --out")
    material = read_material(campaign)
    page = render(material, study, split)
    write_text(file, page)
    click.echo(f"written: {file}")
    if material.studies:
        failure = show_page(Home.here(), campaign.name, page)
        click.echo(f"warning: not in MLflow: {failure}", err=True) if failure else click.echo("in MLflow: run report")
    return 0
