"""``orchestrator evaluate``: the WER of a system on a set."""

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--model", default="champion", show_default=True, help="The champion, or the folder of a system.")
@click.option("--campaign", help="Whose champion; needed where several have one.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that search.")
@click.option(
    "--scorer", metavar="NAME", help="What counts the errors; that of the system's campaign unless it is given."
)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(manifest: Path, model: str, campaign: str | None, workers: int, scorer: str | None, as_json: bool) -> int:
    """Measure the WER of the champion on a set with transcripts.

    MANIFEST may be of any format that a campaign may name. The test set of a campaign is refused: it is looked at once,
    when the campaign is finalized.
    """
    from orchestrator.evaluation import evaluate
    from orchestrator.listening import listening, say_alone, say_unknown_rate
    from orchestrator.systems import find_system
    from orchestrator.tables import percent
    from search_spaces.scorers import DEFAULT
    from trainers.scoring.scorer import find_scorer

    system = find_system(model, campaign)
    counting = find_scorer(scorer or str(system.provenance.get("scorer", DEFAULT)))
    say_unknown_rate(system)
    with listening() as progress:
        found = evaluate(system, manifest, progress, workers, counting)
    say_alone(found.without_speaker, found.utterances)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    score = found.score
    if as_json:
        entry = {"manifest": str(manifest), "utterances": found.utterances, "wer": score.wer, **asdict(score)}
        click.echo(json.dumps({**entry, "errors": score.errors, "scorer": counting.name}, indent=1))
        return 0
    counted = f"{score.errors} errors in {score.words} {counting.units}, {found.utterances} utterances"
    click.echo(f"{counting.rate} {percent(score.wer)}: {counted}")
    click.echo(f"{score.substitutions} substituted, {score.deletions} deleted, {score.insertions} inserted")
    return 0
