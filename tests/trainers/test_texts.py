import gzip
import io
import sys
from types import SimpleNamespace

import pytest

from search_spaces.errors import LanguageModelError
from trainers.decoding.texts import STDIN, read_sentences


@pytest.fixture
def text(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_texts_are_read_one_after_another_packed_or_not(text):
    paths = [text(b"a b\nc\n", "one"), text(gzip.compress("für\nd".encode()), "two"), text(b"", "three")]
    assert list(read_sentences(paths)) == ["a b", "c", "für", "d"]


def test_only_newlines_end_a_sentence(text):
    assert list(read_sentences([text("a\u2028b\x0bc\r\n\n\x85d".encode())])) == ["a\u2028b\x0bc\r", "", "\x85d"]


def test_a_mark_of_byte_order_is_no_part_of_the_first_word(text):
    assert list(read_sentences([text("\ufeffa\n\ufeffb\n".encode())])) == ["a", "\ufeffb"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dash_is_standard_input_packed_or_not(text, monkeypatch, pack):
    raw = io.BufferedReader(io.BytesIO(pack(b"x y\n")))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=raw))
    assert list(read_sentences([text(b"a\n"), STDIN])) == ["a", "x y"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\nb \xfc c\nd\n", r"text\.txt, line 2 is not UTF-8: .* at byte 3 of the line"),
        (b"a\n\nb </s>\n", r"text\.txt, line 3 has </s>, which language models reserve"),
        (gzip.compress(b"a b c d e f g\n" * 50, mtime=0)[:40], r"text\.txt cannot be read: Compressed file ended"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_with_its_line(text, content, words):
    with pytest.raises(LanguageModelError, match=words):
        list(read_sentences([text(content)]))


def test_a_text_that_is_not_there_or_a_folder_is_refused(tmp_path):
    with pytest.raises(LanguageModelError, match=r"none\.txt cannot be read: No such file"):
        list(read_sentences([tmp_path / "none.txt"]))
    with pytest.raises(LanguageModelError, match="cannot be read: Is a directory"):
        list(read_sentences([tmp_path]))
