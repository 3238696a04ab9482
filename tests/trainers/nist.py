"""NIST's tools and what they print: their goldens, and the tools themselves where they are installed."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parents[1] / "data" / "sctk"
SYSTEMS = ("char", "word_seed2", "word_seed3")

needs_sclite = pytest.mark.skipif(shutil.which("sctk") is None, reason="NIST's sctk is not installed")


def golden_counts(system):
    """Substitutions, deletions and insertions by utterance, of the alignments sclite printed."""
    with gzip.open(GOLDENS / f"{system}.pra.gz", "rt") as file:
        return counts(file.read())


def counts(printed):
    """Substitutions, deletions and insertions by utterance, from sclite's ``pralign``."""
    found = re.findall(r"id: \((.*)\)\n(?:\w+: .*\n)*?Scores: \(#C #S #D #I\) \d+ (\d+) (\d+) (\d+)", printed)
    return {name: tuple(map(int, numbers)) for name, *numbers in found}


def sgml(folder, reference, hypothesis, title, *options):
    """What sclite pipes to sc_stats about two trn files."""
    command = ["sctk", "sclite", *options, "-r", reference, "trn", "-h", hypothesis, "trn", title]
    command += ["-i", "spu_id", "-f", "0", "-o", "sgml", "stdout"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def steps(printed):
    """Alignments from sclite's sgml."""
    found = {}
    for name, body in re.findall(r'<PATH id="\((.*?)\)".*?>\n(.*?)\n?</PATH>', printed, re.DOTALL):
        columns = [column.split(",") for column in body.split(":")] if body else []
        found[name] = [(kind, said.strip('"'), heard.strip('"')) for kind, said, heard in columns]
    return found


def matched_pairs(printed):
    """Segments, mean, standard deviation and Z of every comparison, as sc_stats prints them, by both titles."""
    number = r"(-?[\d.]+)"
    pattern = (
        r"\(systems: (\S+) (\S+)\) \(# segs: (\d+)\).*?"
        rf"\(mean: +{number}\) \(std dev: +{number}\) \(Z Stat: +{number}\)"
    )
    return {(one, other): tuple(numbers) for one, other, *numbers in re.findall(pattern, printed)}


def rover(folder, systems, *options):
    """The words that rover makes of ctm files of one recording."""
    given = [part for path in systems for part in ("-h", path, "ctm")]
    command = ["sctk", "rover", *given, *options, "-f", "0", "-o", "rover.ctm"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return [line.split()[4] for line in (folder / "rover.ctm").read_text().splitlines()]


def rover_pieces(systems):
    """The words of systems, cut as rover cuts a recording before it aligns them.

    The first system ends a piece at a gap of more than a second, or at its end, if each of the others has a gap of any
    length that overlaps what is left of that one.
    """
    ends = [len(words) for words in systems]
    starts = [0] * len(systems)
    while any(start < end for start, end in zip(starts, ends, strict=True)):
        stops = next(filter(None, (_stops(systems, starts, last) for last in range(starts[0], ends[0]))), ends)
        yield [words[start:stop] for words, start, stop in zip(systems, starts, stops, strict=True)]
        starts = stops


def _stops(systems, starts, last):
    """Where each system stops if the first one does behind its word ``last``; None if they do not stop together."""
    begin, end = _gap(systems[0], last)
    if end <= begin + 1.0:
        return None
    stops = [last + 1]
    for words, start in zip(systems[1:], starts[1:], strict=True):
        if start == len(words):
            stops.append(start)
            continue
        for index in range(start, len(words)):
            low, high = _gap(words, index)
            if min(end, high) > max(begin, low):
                begin, end = max(begin, low), min(end, high)
                stops.append(index + 1)
                break
        else:
            return None
    return stops


def _gap(words, index):
    """Where the silence behind a word begins and ends."""
    behind = words[index].begin + words[index].duration
    return behind, words[index + 1].begin if index + 1 < len(words) else float("inf")
