"""``orchestrator studies``: the campaigns found here and shipped."""

import json
from typing import Any

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(as_json: bool) -> int:
    """List the campaigns, their studies, and how far each is."""
    from rich.console import Console

    from orchestrator.stored import stored_studies
    from orchestrator.tables import percent, plain_table
    from search_spaces.errors import UserError
    from search_spaces.finding import campaign_files
    from search_spaces.reading import read_campaign

    rows: list[dict[str, Any]] = []
    broken = []
    for name, path in campaign_files().items():
        try:
            campaign = read_campaign(path)
        except UserError as error:
            broken.append(str(error))
            continue
        stored = {study.name: study for study in stored_studies(name)}
        for study in campaign.studies.values():
            record = stored.get(study.name)
            rows.append(
                {
                    "campaign": name,
                    "study": study.name,
                    "strategy": study.strategy,
                    "finished": record.finished if record else 0,
                    "trials": record.budget if record else study.trials,
                    "best_dev_wer": record.best.dev_wer if record and record.best else None,
                    "file": str(path),
                }
            )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    console = Console(highlight=False)
    columns = {"campaign": "left", "study": "left", "strategy": "left", "trials": "right", "best dev WER": "right"}
    cells = [
        [
            row["campaign"],
            row["study"],
            row["strategy"],
            f"{row['finished']}/{row['trials']}",
            percent(row["best_dev_wer"]),
        ]
        for row in rows
    ]
    console.print(plain_table(columns, cells))
    for text in broken:
        console.print(text, style="yellow", markup=False)
    if rows:
        console.print(f"\nNext: orchestrator plan {rows[0]['campaign']}")
    return 0
