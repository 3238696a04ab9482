import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.leaderboard import COLUMNS, Evidence, leaderboard
from orchestrator.leaderboard.columns import Kind
from orchestrator.leaderboard.formats import as_csv, as_json, as_latex, as_markdown, escape, rounded
from orchestrator.leaderboard.terminal import board
from orchestrator.leaderboard.view import arrange, notes
from orchestrator.record import StudyRecord
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from search_spaces.errors import UserError
from tests.orchestrator.recognised import BASE, BETTER, TIED, alone, study

NAMES = ("base", "one", "tied", "gone", "empty")


@pytest.fixture(scope="module")
def table():
    """A row of every verdict, and a study without a result."""
    studies = [
        study("base", 23.0, utterances=40, promoted=0),
        study("one", 13.0, utterances=40, strategy="self_distillation & co"),
        study("tied", 23.0, utterances=40, promoted=0),
        study("gone", 20.0, 21.0, utterances=40),
        StudyRecord("c", "empty", "baseline"),
    ]
    evidence = {"base": alone(BASE), "one": alone(BETTER), "tied": alone(TIED), "gone": Evidence(missing="it is gone")}
    evidence["empty"] = Evidence(missing="no trial is complete")
    definitions = {name: StudyDefinition(name, "baseline", hypothesis=(14, 15)) for name in NAMES}
    campaign = Campaign("c_1", Path("c_1.yaml"), DataFiles(Path("a"), Path("b")), {}, definitions, "base")
    return leaderboard(studies, studies[0].trials[0], campaign, evidence)


def test_every_column_survives_a_csv_file_and_pandas(table):
    read = pd.read_csv(io.StringIO(as_csv(table)), keep_default_na=False, na_values=[""])
    assert list(read.columns) == list(COLUMNS)
    written = rounded(table)
    for name, column in COLUMNS.items():
        if column.kind is Kind.TEXT:
            assert list(read[name].fillna("")) == list(written[name])
        else:
            assert read[name].astype("Float64").equals(written[name].astype("Float64"))


def test_a_rate_is_rounded_once_wherever_a_reader_sees_it():
    studies = [study("one", 100 * 148 / 710, utterances=71)]  # 20.845: 20.8, but 20.9 of 20.85
    found = leaderboard(studies)
    console = Console(width=80, file=io.StringIO())
    console.print(board(found))
    for text in (console.file.getvalue(), as_markdown(found, "c"), as_latex(found, "c")):
        assert "20.8" in text
        assert "20.9" not in text
    assert "20.85" in as_csv(found)


def test_json_holds_every_column_and_null_where_nothing_is_known(table):
    rows = json.loads(as_json(table))
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert [row["study"] for row in rows] == list(table["study"])
    assert rows[-1]["dev_wer"] is None
    assert rows[0]["hypothesis_low"] == 14.0


def test_markdown_has_as_many_cells_in_every_row(table):
    text = as_markdown(table, "c_1")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(table)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "not opened" in rows[2]
    assert "| one | 13.0 [" in text


def unescaped(text):
    """Signs that LaTeX would take for its own, outside of commands and their braces."""
    bare = re.sub(r"\\[&%$#_{}]", "", text)
    return re.findall(r"[%$#_~^<>]", bare)


def test_latex_is_balanced_escaped_and_has_as_many_cells_in_every_row(table):
    text = as_latex(table, "c_1")
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended) == ["table", "tabular"]
    assert len(re.findall(r"(?<!\\){", text)) == len(re.findall(r"(?<!\\)}", text))
    body = text.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(table)
    columns = re.match(r"\{([lr]+)\}", body)[1]
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    assert not unescaped(body) + unescaped(text.split(r"\footnotesize")[1])
    assert [word for word in (r"\toprule", r"\midrule", r"\bottomrule") if word not in text] == []


@given(st.text())
def test_no_text_leaves_a_sign_of_latex_bare(text):
    escaped = escape(text)
    assert not unescaped(re.sub(r"\\text\w+\{\}", "", escaped))
    assert len(re.findall(r"(?<!\\){", escaped)) == len(re.findall(r"(?<!\\)}", escaped))


def test_the_terminal_keeps_to_80_columns_and_says_what_has_to_be_said(table):
    console = Console(width=80, record=True)
    console.print(board(table))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    lines = {line.split()[0]: line for line in text.splitlines()[1 : 1 + len(table)]}
    assert set(lines) == set(NAMES)
    assert "better" in lines["one"]
    assert "not tested" in lines["gone"]
    assert "none" in lines["empty"]
    assert lines["base"].split()[1] == "*"
    said = " ".join(text.split())
    assert "gone is not tested: it is gone" in said
    assert "these 400 words find a difference of so many points in 80 of 100 cases: tied" in said
    assert "not searched with the same number of trials: the baseline had 1, gone 2, empty 0" in said
    assert "one: the hypothesis of 14 to 15 % is open (dev, corrected)" in said


def test_a_table_without_comparisons_says_nothing_about_them():
    plain = leaderboard([study("a", 20.0)])
    assert [sentence for sentence in notes(plain) if "tested" not in sentence] == []


def test_nothing_at_all_is_written_in_every_format():
    empty = leaderboard([])
    assert as_csv(empty).strip().split(",") == list(COLUMNS)
    assert json.loads(as_json(empty)) == []
    assert "| study |" in as_markdown(empty, "c")
    assert r"\bottomrule" in as_latex(empty, "c")


def test_rows_are_sorted_by_any_column_and_empty_cells_come_last(table):
    assert list(arrange(table, "dev_wer")["study"])[-1] == "empty"
    assert list(arrange(table, "-dev_wer")["study"]) == ["base", "tied", "gone", "one", "empty"]
    assert list(arrange(table, "study")["study"]) == sorted(NAMES)


def test_rows_are_filtered_and_keep_the_probabilities_that_all_of_them_have(table):
    shown = arrange(table, "", ["verdict=better,tie"])
    assert set(shown["verdict"]) == {"better", "tie"}
    whole = table.set_index("study")["p_adjusted"]
    assert all(row["p_adjusted"] == whole[row["study"]] for row in shown.to_dict("records"))
    assert list(arrange(table, "", ["verdict=better", "study=one"])["study"]) == ["one"]


@pytest.mark.parametrize(
    ("order", "filters", "message"),
    [
        ("dev_were", [], "did you mean 'dev_wer'"),
        ("", ["verdict"], "write COLUMN=VALUE"),
        ("", ["verdct=better"], "did you mean 'verdict'"),
        ("", ["verdict=best"], "verdict holds better, not tested, baseline, tie"),
    ],
)
def test_a_column_or_value_that_is_not_there_is_refused_with_those_that_are(table, order, filters, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        arrange(table, order, filters)
    assert "--" in str(caught.value)
