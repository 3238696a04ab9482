"""``orchestrator score``: the WER of hypotheses from anywhere, and whether systems differ."""

from pathlib import Path

import click

from search_spaces.scorers import DEFAULT

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("reference", type=_PATH)
@click.argument("hypotheses", metavar="HYPOTHESIS...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--scorer",
    "name",
    metavar="NAME",
    default=DEFAULT,
    show_default=True,
    help="How errors are counted: sclite-1/fold-1 as sclite does, sclite_optional-1/fold-1 as with its option -D.",
)
@click.option("--speakers", is_flag=True, help="Resample whole speakers instead of utterances.")
@click.option("--worst", "count", type=click.IntRange(1), metavar="N", help="Show the N worst utterances word by word.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(
    reference: Path, hypotheses: tuple[Path, ...], name: str, speakers: bool, count: int | None, as_json: bool
) -> int:
    """Score what systems recognised, and compare them with the first.

    REFERENCE is a .trn or .stm file, or a set as campaigns name them. A HYPOTHESIS is a .ctm file where the reference
    is .stm; else a .trn file, or what transcribe writes as text (id, tab, words) or JSON lines. The test set of a
    campaign is refused.
    """
    from rich.console import Console

    from orchestrator.report.error_analysis import worst
    from orchestrator.scoring.display import aligned, listed, shown
    from orchestrator.scoring.hypotheses import name_systems, read_hypotheses
    from orchestrator.scoring.references import read_references
    from orchestrator.scoring.scored import score_systems, tell_case
    from trainers.scoring.notation import check_notation
    from trainers.scoring.scorer import find_scorer

    def warn(warning: str) -> None:
        click.echo(f"warning: {warning}", err=True)

    scorer = find_scorer(name)
    named = name_systems(hypotheses)
    references = read_references(reference, warn)
    lines = ((references.lines[name], text) for name, text in references.texts.items())
    for warning in check_notation(references.path, lines, scorer):
        warn(warning)
    who = references.every_speaker() if speakers else None
    texts = {system: read_hypotheses(path, references, warn) for system, path in named.items()}
    systems = score_systems(references, texts, scorer, who)
    tell_case(systems, scorer, warn)
    bad = {one.name: worst(one.errors, scorer, references.speakers, count) if count else [] for one in systems}
    if as_json:
        click.echo(listed(references, scorer, systems, bad))
        return 0
    Console(highlight=False).print(shown(systems, scorer, "speakers" if speakers else "utterances"))
    for system, utterances in bad.items():
        for each in utterances:
            click.echo(f"\n{system}: {aligned(each)}" if len(systems) > 1 else f"\n{aligned(each)}")
    return 0
