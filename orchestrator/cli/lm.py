"""``orchestrator lm``: a language model of texts."""

import re
from pathlib import Path

import click


class _Lm(click.Command):
    """Takes ``--prune 0 0 1`` as lmplz does: all numbers that follow are one value."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        joined: list[str] = []
        for word in args:
            previous = joined[-2] if len(joined) > 1 else ""
            if previous == "--prune" and re.fullmatch(r"\d+", word) and re.fullmatch(r"[\d ,]+", joined[-1]):
                joined[-1] += f" {word}"
            else:
                joined.append(word)
        return super().parse_args(context, joined)


def _thresholds(context: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    fields = value.replace(",", " ").split()
    if not all(re.fullmatch(r"\d{1,18}", field) for field in fields):
        raise click.BadParameter(f"{value!r}: write a whole number for every order, such as --prune 0 0 1")
    return tuple(map(int, fields))


@click.command(cls=_Lm)
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--order", type=int, default=4, show_default=True, help="Words of the longest n-grams, 2 to 6.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The ARPA file; .gz packs it; - prints it.")
@click.option("--discount-fallback", is_flag=True, help="Fixed discounts for orders that give none: small texts.")
@click.option(
    "--prune",
    default="",
    callback=_thresholds,
    metavar="N...",
    help="For each order, drop n-grams that occur N times or fewer; the last N holds above it too.",
)
@click.option("--lexicon", type=click.Path(path_type=Path), help="Warn of words in this list that the model lacks.")
@click.option("--for", "campaign", metavar="CAMPAIGN", help="Warn of words of its training transcripts.")
@click.option("--test", type=click.Path(path_type=Path), help="A text whose perplexity is told.")
def command(
    texts: tuple[Path, ...],
    order: int,
    out: Path,
    discount_fallback: bool,
    prune: tuple[int, ...],
    lexicon: Path | None,
    campaign: str | None,
    test: Path | None,
) -> int:
    """Estimate a modified Kneser-Ney language model.

    TEXT has one sentence a line, plain or packed by gzip; - is standard input. The ARPA file is the one that KenLM's
    lmplz writes.
    """
    from orchestrator.ngrams import make_model, measure, read_yardstick, refuse_place, write_model
    from trainers.decoding.texts import STDIN

    refuse_place(out, texts)
    yardstick = read_yardstick(lexicon, campaign, test)
    model = make_model(texts, order, prune, discount_fallback=discount_fallback)
    write_model(model, out)
    warnings, found = measure(model, yardstick)
    aside = out == STDIN
    counts = ", ".join(f"{len(grams)} {k}-grams" for k, grams in enumerate(model.orders, 1))
    click.echo(f"{'written' if aside else out}: order {order}, {counts}", err=aside)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if found is not None:
        click.echo(
            f"perplexity of {test}: {found.perplexity:.2f}, {found.perplexity_of_known:.2f} without unknown words; "
            f"{found.unknown} of {found.words} words (ends of sentences included) are unknown",
            err=aside,
        )
    return 0
