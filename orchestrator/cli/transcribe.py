"""``orchestrator transcribe``: the champion on new recordings or features."""

from pathlib import Path

import click


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--model", default="champion", show_default=True, help="The champion, or the folder of a system.")
@click.option("--campaign", help="Whose champion; needed where several have one.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "trn", "ctm", "srt"]), default="text", show_default=True
)
@click.option("--n-best", type=click.IntRange(1, 1000), default=1, show_default=True, help="With --format json.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that search.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of the terminal.")
def command(
    inputs: tuple[str, ...], model: str, campaign: str | None, form: str, n_best: int, workers: int, out: Path | None
) -> int:
    """Transcribe recordings or stored features.

    INPUT is a recording (.wav, .flac, .ogg), features (.npy, .npz), a folder of such files, a set as campaigns name
    them, or - for a list of paths on standard input. A file that cannot be used is named, the others are transcribed,
    and the status is 1.
    """
    import sys

    from orchestrator.evaluation import without_speaker
    from orchestrator.listening import listening, say_alone, say_unknown_rate
    from orchestrator.recordings import find_recordings
    from orchestrator.systems import find_system
    from orchestrator.transcripts import FORMS, refuse_form
    from search_spaces.errors import UserError
    from trainers.artifacts import Utterance
    from trainers.store import write_text
    from trainers.transcription import Failure, Transcript, transcribe

    if n_best > 1 and form != "json":
        raise UserError("--n-best needs --format json; the other formats hold one hypothesis")
    system = find_system(model, campaign)
    found = find_recordings(inputs, sys.stdin)
    utterances = [one for one in found if isinstance(one, Utterance)]
    refuse_form(form, [one.id for one in utterances], untimed=system.untimed)
    say_unknown_rate(system)
    say_alone(without_speaker(system, utterances), len(utterances))
    with listening(len(utterances)) as progress:
        heard = transcribe(system, utterances, n_best, progress, workers)
    text = FORMS[form]([one for one in heard if isinstance(one, Transcript)])
    if out is not None:
        write_text(out, text)
    else:
        click.echo(text, nl=False)
    failures = [one for one in (*found, *heard) if isinstance(one, Failure)]
    for failure in failures:
        click.echo(f"error: {failure.place}: {failure.reason}", err=True)
    return 1 if failures else 0
