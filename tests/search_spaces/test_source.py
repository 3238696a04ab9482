import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import CampaignError
from search_spaces.source import read_source


@pytest.fixture
def read(tmp_path):
    def reader(text):
        path = tmp_path / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_source(path)

    return reader


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("source") / "c.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-3", 0.002),
        ("1E+2", 100.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("010", 10),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'2e-3'", "2e-3"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("1.2.3", "1.2.3"),
        (".", "."),
        ("-", [None]),
        ("e5", "e5"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(read, text, value):
    found = read(f"key: {text}\n" if text != "-" else "key:\n  -\n").data["key"]
    assert found == value
    assert type(found) is type(value)


@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_every_number_that_python_writes_is_read_as_the_same_number(path, value):
    path.write_text(f"key: {value!r}\n")
    found = read_source(path).data["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_whatever_they_look_like(read):
    assert read("1: a\ntrue: b\n2e-3: c\n").data == {"1": "a", "true": "b", "2e-3": "c"}


def test_every_value_knows_its_line_and_a_missing_one_that_of_what_is_around_it(read):
    source = read("a: 1\nb:\n  c:\n    - 5\n    - d: 6\n")
    assert [source.line(place) for place in [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1, "d")]] == (
        [1, 2, 3, 4, 5]
    )
    assert source.line(("b", "c", 1, "missing", "deeper")) == 5
    assert source.line(("missing",)) == 1


def test_duplicate_keys_are_all_reported_with_both_lines(read):
    with pytest.raises(CampaignError) as caught:
        read("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n")
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "line 5: b.c: stands twice, first on line 3",
        "line 6: a: stands twice, first on line 1",
    ]


def test_anchors_and_merge_keys_work_and_a_merged_key_may_be_overridden(read):
    source = read("base: &base {lr: 1, seed: 2}\nother:\n  <<: *base\n  seed: 3\n")
    assert source.data["other"] == {"lr": 1, "seed": 3}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "is not YAML"),
        ("a: 1\n\tb: 2\n", 2, "is not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "is not YAML"),
        ("a: *unknown\n", 1, "undefined alias"),
        ("x: 1\na: !!int many\n", 2, "'many' is no int"),
        ("a: !!bool perhaps\n", 1, "'perhaps' is no bool"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested more than 50 deep"),
        ("a: &a [*a]\n", 1, "nested more than 50 deep"),
        ("x: 1\na: !!python/name:os.system\n", 2, "is not YAML"),
    ],
)
def test_what_does_not_parse_is_reported_with_its_line(read, text, line, words):
    with pytest.raises(CampaignError) as caught:
        read(text)
    (mistake,) = caught.value.mistakes
    assert mistake.line == line
    assert words in mistake.message


def test_a_tag_that_asks_for_a_call_runs_nothing(read, tmp_path):
    source = read(f"a: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    assert source.data == {"a": [f"{tmp_path}/made"]}
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: \xff\xfe\n", "cannot be read: 'utf-8'"),
        (b"a: 1\nb: \x00\n", "line 2: is not text: it holds the character 0x00"),
    ],
)
def test_a_file_of_bytes_that_are_no_text_is_refused(read, content, words):
    with pytest.raises(CampaignError, match=words):
        read(content)


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(CampaignError, match=r"nothing\.yaml: 1 mistake\n  cannot be read: .*No such file"):
        read_source(tmp_path / "nothing.yaml")


def test_an_empty_file_holds_nothing(read):
    assert read("# only a comment\n").data is None


def test_the_error_survives_being_sent_to_another_process(read):
    with pytest.raises(CampaignError) as caught:
        read("a: 1\na: 2\n")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.mistakes == caught.value.mistakes


def test_more_than_twenty_mistakes_are_counted_but_not_all_shown(read):
    with pytest.raises(CampaignError) as caught:
        read("".join(f"k{i}: 1\nk{i}: 2\n" for i in range(25)))
    lines = str(caught.value).split("\n")
    assert lines[0].endswith("c.yaml: 25 mistakes")
    assert len(lines) == 22
    assert lines[-1] == "  ... and 5 more"
