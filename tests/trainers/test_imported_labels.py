import json

import pytest

from search_spaces.errors import DataError
from trainers.exchange.labels import find_units, name_columns, read_labels, read_names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "a\n\nb c\n |\n"),
        ("labels.txt", "a\r\n\r\nb c\r\n |\r\n"),
        ("vocab.json", json.dumps({"b c": 2, "a": 0, " |": 3, "": 1})),
    ],
)
def test_names_of_columns_are_read_in_their_order(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_names(tmp_path / name) == ["a", "", "b c", " |"]


def test_names_with_numbers_stand_in_the_order_of_the_numbers(tmp_path):
    (tmp_path / "tokens.txt").write_text("▁b 1\n<blk> 0\n1 2\n", encoding="utf-8")
    assert read_names(tmp_path / "tokens.txt") == ["<blk>", "▁b", "1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens.txt", "a 0\nb 2\n", "needs the numbers 0, 1, 2"),
        ("tokens.txt", "a 0\na 1\n", "numbers a label twice"),
        ("vocab.json", '["a"]', "needs the numbers 0, 1, 2"),
        ("vocab.json", '{"a": "x"}', "needs the numbers 0, 1, 2"),
        ("vocab.json", "{", "cannot be read as a file of labels"),
        ("vocab.json", "[" * 100_000, "cannot be read as a file of labels"),
    ],
)
def test_numbers_that_leave_a_column_out_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_names(tmp_path / name)


@pytest.mark.parametrize("space", [" ", "|", "<space>"])
def test_the_space_between_words_has_several_names_where_units_are_characters(tmp_path, space):
    (tmp_path / "labels.txt").write_text(f"a\n{space}\n<pad>\n", encoding="utf-8")
    alphabet, column = read_labels(tmp_path / "labels.txt", "char", "<pad>")
    assert (alphabet.labels, column) == (("", "a", " "), 2)
    assert alphabet.text([1, 2, 1]) == "a a"


def test_a_bar_beside_a_space_is_a_bar(tmp_path):
    assert name_columns(tmp_path, ["", "|", " "], "char")[0].labels == ("", "|", " ")
    assert name_columns(tmp_path, ["", "|"], "mixed")[0].labels == ("", "|")


@pytest.mark.parametrize(
    ("names", "units"),
    [
        (["", "▁go", "▁stop"], "word"),
        (["", "▁go", "ing"], "mixed"),
        (["", "a", "b"], "char"),
        (["", "a", "|", "<unk>"], "char"),
        (["", "GO", "STOP"], "word"),
        (["", "A", "GO"], "word"),
    ],
)
def test_the_units_are_told_by_the_names(names, units):
    assert find_units(names) == units
    assert find_units(["<blk>", *names[1:]], "<blk>") == units
