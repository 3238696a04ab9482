"""``orchestrator finalize``: open the test set, once for each promoted system."""

import sys

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--yes", is_flag=True, help="Open the test set without asking.")
@click.option("--list", "listed", is_flag=True, help="Show the looks at the campaign's test set, and open nothing.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(target: str, studies: tuple[str, ...], yes: bool, listed: bool, as_json: bool) -> int:
    """Score the promoted systems of a campaign on its test set.

    Of every study that has come to its end, or of those named. All systems are decoded and scored before a figure is
    shown; every look is noted, and a system that was scored before keeps its figures.
    """
    import json

    from rich.console import Console

    from orchestrator.final_tables import finals_json, finals_table, looks_json, looks_table, opening
    from orchestrator.finalization import Finalization, looks_of
    from orchestrator.home import Home
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.strategies import catalogue

    path, study = find_campaign(target)
    campaign = read_campaign(path, catalogue())
    console = Console(highlight=False)
    if listed:
        looks = looks_of(campaign, Home.here())
        click.echo(json.dumps(looks_json(looks), indent=1)) if as_json else console.print(looks_table(looks))
        return 0
    final = Finalization(campaign, (*studies, *([study] if study else [])), Home.here())
    for warning in final.warnings:
        click.echo(f"warning: {warning}", err=True)
    candidates = final.candidates
    click.echo(opening(final, candidates), err=True)
    if any(one.look is None for one in candidates) and not yes:
        if not sys.stdin.isatty():
            raise UserError("a look cannot be taken back; --yes says that it is meant")
        click.confirm("Open it?", abort=True, err=True)
    done = final.run(lambda record: click.echo(f"{record.study}#{record.number} hears the test set", err=True))
    if as_json:
        click.echo(json.dumps(finals_json(final, done), indent=1))
    else:
        console.print(finals_table(final, done))
    return 0
