"""Every way that the command line offers to see what is said in a test set, before it is finalized."""

import json
import shutil

import pytest

from orchestrator import cli
from tests.orchestrator.running import run, working_in

SECRETS = ("ZEBRA", "QUAGGA")  # said in the test set and nowhere else
SAYS_NOTHING = ["ui"]  # serves the store's MLflow until it is stopped, and reads no file that a user names


def ways(folder):
    """What a user may type, by command: each names the test set, or a campaign that does."""
    test, text, copy = folder / "held_out/test.jsonl", folder / "text.txt", folder / "held_out/copy.jsonl"
    disguise = folder / "disguise/mine.jsonl"
    return {
        "studies": [[], ["--json"]],
        "plan": [["tiny"], ["as_dev"], ["as_train"], ["as_text"]],
        "run": [
            ["as_dev"],
            ["as_train"],
            ["as_text"],
            ["as_words"],
            ["in_disguise"],
            ["tiny/baseline", "--set", f"data.dev={test}"],
            ["tiny/baseline", "--set", f"data.train={copy}"],
            ["tiny", "--set", f"language_model.text={test}"],
        ],
        "status": [["tiny"]],
        "leaderboard": [["tiny", "--csv", "board.csv"], ["tiny", "--json"]],
        "report": [["tiny"], ["as_dev"], ["as_train"], ["in_disguise"], ["tiny", "--split", "test"]],
        "promote": [["tiny"]],
        "finalize": [["tiny"], ["tiny", "--list"], ["tiny", "--json"]],
        "transcribe": [[test], [copy, "--format", "json"], [test.parent, "--format", "json"]],
        "score": [
            [test, text],
            [copy, text],
            [disguise, text],
            ["said.trn", test, "--worst", "3"],
            ["said.trn", copy, "--json"],
        ],
        "evaluate": [[test], [copy], [disguise], [test, "--json"], [test, "--model", "mlruns/champions/tiny"]],
        "lm": [
            [test, "--out", "of_test.arpa"],
            [text, copy, "--out", "of_copy.arpa"],
            [text, "--out", "a.arpa", "--discount-fallback", "--order", "2", "--test", test],
            [text, "--out", "b.arpa", "--discount-fallback", "--order", "2", "--lexicon", test],
            [text, "--out", "c.arpa", "--discount-fallback", "--order", "2", "--for", "as_train"],
        ],
        "free": [["tiny", "--dry-run"]],
        "export-posteriors": [["tiny", "--into", "out", "--split", "test"], ["as_train", "--into", "out"]],
        "import-posteriors": [
            [test.parent, "--into", "tiny", "--name", "theirs", "--split", "test"],
            [text, "--into", "tiny", "--name", "theirs", "--labels", test],
        ],
        "import": [[test, "--into", "tiny"], [text, "--into", "tiny", "--labels", test]],
    }


@pytest.fixture(scope="module")
def sealed(tmp_path_factory, make_tiny_campaign, write_features):
    """A campaign with a champion and a test set, copies of it, and campaigns that misuse it."""
    folder = tmp_path_factory.mktemp("sealed")
    test = write_features(folder / "held_out/test.jsonl", ["GO STOP", "NO YES NO"], seed=11)
    entries = [json.loads(line) for line in test.read_text(encoding="utf-8").splitlines()]
    for entry in entries:
        entry["text"] = f"{SECRETS[0]} {entry['text']} {SECRETS[1]}"
    test.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    shutil.copy(test, test.with_name("copy.jsonl"))
    (folder / "said.trn").write_text("GO (a-1)\n", encoding="utf-8")
    shutil.copytree(folder / "held_out/features", folder / "disguise/features")
    (folder / "disguise/mine.jsonl").write_text(json.dumps({**entries[1], "other": 1}) + "\n", encoding="utf-8")
    with working_in(folder):
        tiny = make_tiny_campaign(folder)
        tiny.rewrite("}\nunits", f", test: {test}}}\nunits")
        tiny.rewrite("epochs: 4", "epochs: 2")
        text, data = tiny.file.read_text(encoding="utf-8"), tiny.read().data
        for name, old, new in (
            ("as_dev", f"dev: {data.dev}, test: {test}", f"dev: {test}"),
            ("as_train", f"train: {data.train}", f"train: {folder / 'held_out/copy.jsonl'}"),
            ("as_text", f"text: {folder / 'text.txt'}", f"text: {test}"),
            ("as_words", f"text: {folder / 'text.txt'}", f"arpa: {test}"),
            ("in_disguise", f"dev: {data.dev}", f"dev: {folder / 'disguise/mine.jsonl'}"),
        ):
            assert old in text
            changed = text.replace(old, new).replace("campaign: tiny", f"campaign: {name}")
            (folder / f"{name}.yaml").write_text(changed, encoding="utf-8")
        run(tiny.read(), tiny.home, ["baseline"])
    return folder


@pytest.fixture
def call(sealed, call, monkeypatch):
    """Run a command in the folder of the sealed set; its status and all that it printed."""
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(sealed / "mlruns"))
    monkeypatch.chdir(sealed)

    def run(*words):
        status, said = call(*words)
        return status, said.out + said.err

    return run


def leaks(folder, said):
    """Where a secret can be read, but for the files that it was written to beforehand."""
    known = {folder / "held_out/test.jsonl", folder / "held_out/copy.jsonl", folder / "disguise/mine.jsonl"}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in known]
    found = [str(path) for path in files if any(word.encode() in path.read_bytes() for word in SECRETS)]
    return found + [text for text in said if any(word in text for word in SECRETS)]


def test_every_command_is_tried(sealed):
    assert sorted([*ways(sealed), *SAYS_NOTHING]) == sorted(cli.cli.list_commands(None))


@pytest.mark.parametrize("command", [name for name in cli.cli.list_commands(None) if name not in SAYS_NOTHING])
def test_no_command_tells_what_is_said_in_a_test_set(call, sealed, command):
    answers = [call(command, *words) for words in ways(sealed)[command]]
    assert leaks(sealed, [said for _, said in answers]) == []
    if command in ("evaluate", "score", "lm", "import", "import-posteriors", "export-posteriors"):
        assert [status for status, _ in answers] == [2] * len(answers)
    if command == "run":
        assert {status for status, _ in answers} == {2}, answers


def test_without_the_guard_the_words_come_out(call, sealed, monkeypatch):
    """What shows that the tests above would notice."""
    for module in ("trainers.data.manifest", "trainers.decoding.texts"):
        monkeypatch.setattr(f"{module}.refuse_sealed", lambda path: None)
    call("lm", sealed / "held_out/test.jsonl", "--out", "leak.arpa", "--discount-fallback", "--order", "2")
    assert leaks(sealed, []) == [str(sealed / "leak.arpa")]
    (sealed / "leak.arpa").unlink()
    arguments = ("--out", "b.arpa", "--discount-fallback", "--order", "2", "--for", "as_train")
    said = call("lm", sealed / "text.txt", *arguments)[1]
    assert leaks(sealed, [said]) == [said]
