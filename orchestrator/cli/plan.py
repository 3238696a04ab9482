"""``orchestrator plan``: what a run would do."""

import json
import os

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN[/STUDY]")
@click.option("--workers", type=click.IntRange(1, 512), help="Trials at once.  [default: the number of cores]")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(target: str, workers: int | None, as_json: bool) -> int:
    """Say what a run would do, and how long it takes.

    Trials, expected time and disk, what is there already, what would run and why; nothing is run.
    """
    from dataclasses import asdict

    from rich.console import Console

    from orchestrator.dry_run import dry_run
    from orchestrator.parting import parts_of_dev
    from orchestrator.stored import stored_studies
    from orchestrator.tables import duration, plan_table
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign, unknown_study
    from trainers.strategies import catalogue

    path, study = find_campaign(target)
    campaign = read_campaign(path, catalogue())
    if study is not None and study not in campaign.studies:
        raise UserError(unknown_study(campaign, study))
    names = campaign.with_needs(study) if study else tuple(campaign.studies)
    workers = workers or len(os.sched_getaffinity(0))
    parts = parts_of_dev(campaign)
    plan = dry_run(campaign, names, stored_studies(campaign.name), workers)
    if as_json:
        click.echo(json.dumps(asdict(plan), indent=1))
        return 0
    console = Console(highlight=False)
    console.print(plan_table(plan))
    if parts:
        console.print(parts)
    for line in plan.cached:
        console.print(f"there already: {line}", markup=False)
    for line in plan.made:
        console.print(f"made first:    {line}", markup=False)
    unknown = " and what cannot be told before a first trial" if plan.unknown else ""
    console.print(
        f"\nabout {duration(plan.seconds)} with {workers} worker{'s' * (workers > 1)}{unknown}; "
        f"about {plan.megabytes:.0f} MB of disk"
    )
    console.print(f"Next: orchestrator run {target}")
    return 0
