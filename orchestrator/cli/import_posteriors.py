"""``orchestrator import-posteriors``: posteriors of another program as a trial of a campaign."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # what reads them is imported only where it is used
    from search_spaces.axes.features import Units
    from trainers.exchange.log_probabilities import Kind


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--into", "target", required=True, metavar="CAMPAIGN", help="The campaign whose dev set scores them.")
@click.option("--name", required=True, help="Name of their study.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["dev", "train", "test"]),
    help="Take this one; may be repeated.  [default: all that are there]",
)
@click.option("--labels", type=click.Path(dir_okay=False, path_type=Path), help="The label of every column.")
@click.option(
    "--blank", default="", metavar="LABEL", help="The blank's name among the labels.  [default: the empty one]"
)
@click.option(
    "--units",
    type=click.Choice(["char", "marked_char", "word", "mixed"]),
    help="What the labels are; mixed for word pieces.  [default: what their names tell]",
)
@click.option(
    "--kind", type=click.Choice(["logits", "log-probs", "probs"]), help="What the values are.  [default: found out]"
)
@click.option("--frame-seconds", type=click.FloatRange(0, min_open=True), help="[default: what durations tell]")
def command(
    folder: Path,
    target: str,
    name: str,
    splits: tuple[str, ...],
    labels: Path | None,
    blank: str,
    units: "Units | None",
    kind: "Kind | None",
    frame_seconds: float | None,
) -> int:
    """Score what another program made of a campaign's sets, and keep it as a trial.

    FOLDER has one entry a split: dev.npz, dev.ark, dev.scp or dev/ID.npy, and the like for train. It may also be the
    file, or the folder of .npy files, of one split alone. The posteriors can then be decoded by a study, and those of
    train can teach one of strategy distillation.
    """
    from orchestrator.home import Home
    from orchestrator.import_study import run_import
    from orchestrator.importing_posteriors import PosteriorsOrigin, prepare_posteriors
    from orchestrator.tables import percent
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.strategies import catalogue

    path, study = find_campaign(target)
    if study is not None:
        raise UserError(f"--into takes a campaign, and --name the name of the new study; write --into {path.stem}")
    home = Home.here()
    origin = PosteriorsOrigin(folder, splits, labels, blank, units, kind, frame_seconds)
    found = prepare_posteriors(read_campaign(path, catalogue()), name, origin, home)
    record = run_import(found, home)
    if record.best is None:
        click.echo(f"{record.campaign}/{name} has no result; logs are under {home.logs}", err=True)
        return 1
    click.echo(f"{record.best.name}: dev WER {percent(record.best.judged_wer)}; the posteriors lie in\n{found.folder}")
    click.echo(f"to decode them, or to learn from them, write among the studies of {path.name}:")
    click.echo(f"  {name}: {{strategy: imported, needs: {{checkpoint: {found.folder}}}}}")
    click.echo(f"and name {name} under needs: {{posteriors: ...}} or needs: {{teacher: ...}}")
    return 0
