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
    found = re.findall(r"id: \((.*)\)\nScores: \(#C #S #D #I\) \d+ (\d+) (\d+) (\d+)", printed)
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
