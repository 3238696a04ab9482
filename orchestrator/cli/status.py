"""``orchestrator status``: how far a campaign is."""

import json
import time
from dataclasses import asdict

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(target: str, watch: bool, as_json: bool) -> int:
    """Show trials by state, the best so far, and the time left."""
    from rich.console import Console
    from rich.live import Live

    from orchestrator.progress import StudyProgress, study_progress
    from orchestrator.stored import stored_studies
    from orchestrator.tables import progress_table
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign

    campaign = read_campaign(find_campaign(target)[0])

    def look() -> list[StudyProgress]:
        stored = {study.name: study for study in stored_studies(campaign.name)}
        return [study_progress(study, stored.get(study.name)) for study in campaign.studies.values()]

    if as_json:
        click.echo(json.dumps([asdict(study) for study in look()], indent=1))
        return 0
    console = Console(highlight=False)
    if not watch:
        console.print(progress_table(look()))
        return 0
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(progress_table(look()), refresh=True)
            time.sleep(2)
