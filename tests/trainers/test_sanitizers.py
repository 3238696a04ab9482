"""Memory errors and undefined behaviour of the kernel, and that the check would notice them."""

import shutil

import pytest

from tests.trainers.sanitized import NATIVE, NoSanitizers, build, runtime, search_with


@pytest.fixture(autouse=True)
def _sanitizers():
    try:
        runtime()
    except NoSanitizers as reason:
        pytest.skip(str(reason))


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(NATIVE, tmp_path / "native")
    return tmp_path


def test_300_random_inputs_and_altered_language_models_are_searched_without_a_report(folder):
    build(folder)
    done = search_with(folder, 300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("300 inputs searched")


@pytest.mark.parametrize(
    ("file", "sound", "faulty", "report"),
    [
        (
            "search.c",
            "for (int64_t i = 0; i < grown->count; i++) {\n        const double total",
            "for (int64_t i = 0; i <= grown->capacity[2]; i++) {\n        const double total",
            "heap-buffer-overflow",
        ),
        (
            "table.c",
            "free(old->slots);\n        *old = grown;",
            "*old = grown;\n        free(old->slots);",
            "heap-use-after-free",
        ),
        ("prefixes.c", "parts[parent].length + 1;", "parts[parent].length + INT32_MAX;", "signed integer overflow"),
        ("table.h", "(64 - table->bits)", "(76 - table->bits)", "shift exponent"),
    ],
    ids=["read behind the end", "read after free", "overflow", "shift too far"],
)
def test_a_fault_in_the_sources_is_reported(folder, file, sound, faulty, report):
    source = folder / "native" / file
    text = source.read_text()
    assert text.count(sound) == 1
    source.write_text(text.replace(sound, faulty))
    build(folder)
    done = search_with(folder, 20)
    assert done.returncode != 0
    assert report in done.stderr
