"""``orchestrator import``: an existing checkpoint as a trial of a campaign."""

from pathlib import Path
from typing import Any

import click

from orchestrator.setting_option import read_changes


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--into", "target", required=True, metavar="CAMPAIGN", help="The campaign whose dev set scores it.")
@click.option("--name", default="imported", show_default=True, help="Name of its study.")
@click.option("--strip", default="", metavar="PREFIX", help="Take this off the names of the weights.")
@click.option("--part", default="", metavar="KEY", help="Which state dict, if the file holds several.")
@click.option(
    "--labels",
    type=click.Path(dir_okay=False, path_type=Path),
    help="One label a line, in the order of the output columns.  [default: those of the training transcripts]",
)
@click.option("--blank", default="", metavar="LABEL", help="The blank's name in that file.  [default: its empty line]")
@click.option(
    "--set", "changes", callback=read_changes, multiple=True, metavar="KEY=VALUE", help="A setting of the checkpoint."
)
def command(
    file: Path,
    target: str,
    name: str,
    strip: str,
    part: str,
    labels: Path | None,
    blank: str,
    changes: dict[str, Any],
) -> int:
    """Score an existing checkpoint and keep it as a trial.

    FILE is a .safetensors file, a state dict saved by torch, or the folder of a checkpoint of this program. Its network
    is the campaign's, or what --set model.class=package.module:Name says.
    """
    from orchestrator.home import Home
    from orchestrator.import_study import run_import
    from orchestrator.importing import Origin, prepare_import
    from orchestrator.tables import percent
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.strategies import catalogue

    path, study = find_campaign(target)
    if study is not None:
        raise UserError(f"--into takes a campaign, and --name the name of the new study; write --into {path.stem}")
    home = Home.here()
    found = prepare_import(
        read_campaign(path, catalogue()), name, Origin(file, strip, part, labels, blank, changes), home
    )
    record = run_import(found, home)
    if record.best is None:
        click.echo(f"{record.campaign}/{name} has no result; logs are under {home.logs}", err=True)
        return 1
    click.echo(f"{record.best.name}: dev WER {percent(record.best.judged_wer)}; its checkpoint lies in\n{found.folder}")
    click.echo("name that folder under needs: {teacher: ...} to learn from it")
    return 0
