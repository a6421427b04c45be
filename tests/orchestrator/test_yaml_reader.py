from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import yaml_reader
from orchestrator.faults import Fault, Place, dotted, near_miss, shown, spec_error
from orchestrator.yaml_reader import MAX_BYTES, MAX_DEPTH, dump, parse, read, read_text
from sim_core.errors import SpecError

BOMB = "\n".join(
    ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcde", "bcdef", strict=True)]
)


def one_fault(text: str) -> Fault:
    faults = parse(text, "x.yaml").faults
    assert len(faults) == 1, faults
    return faults[0]


def test_tree_and_places():
    text = (
        "name: demo\nsuite:\n  levers: [buy_back, expedite]\nentries:\n  - name: linear\n    seed: 1\n  - name: 'é'\n"
    )
    document = parse(text, "x.yaml")
    assert document.faults == ()
    assert document.value == {
        "name": "demo",
        "suite": {"levers": ["buy_back", "expedite"]},
        "entries": [{"name": "linear", "seed": 1}, {"name": "é"}],
    }
    assert document.place(("name",)) == Place(1, 7)
    assert document.place(("name",), key=True) == Place(1, 1)
    assert document.place(("suite", "levers")) == Place(3, 11)
    assert document.place(("suite", "levers"), key=True) == Place(3, 3)
    assert document.place(("suite", "levers", 1)) == Place(3, 22)
    assert document.place(("entries", 0)) == Place(5, 5)
    assert document.place(("entries", 0, "seed")) == Place(6, 11)
    assert document.place(("entries", 1, "name")) == Place(7, 11)


def test_the_place_of_what_is_missing_is_what_encloses_it():
    document = parse("# comment\n\nsuite:\n  seed: 1\nentries: [{name: a}]\n", "x.yaml")
    assert document.place(("suite", "start")) == Place(3, 1)
    assert document.place(("entries", 0, "controller")) == Place(5, 11)
    assert document.place(("reference",)) == Place(3, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-01", "2026-01"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T10:00:00", "2026-01-31T10:00:00"),
        ("linear", "linear"),
        ("y", "y"),
        ("=", "="),
        ("'yes'", "yes"),
        ('"1:30"', "1:30"),
        ("'010'", "010"),
    ],
)
def test_scalars(text: str, value: object):
    document = parse(f"key: {text}", "x.yaml")
    assert document.faults == ()
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("1:30", "base 60"),
        ("1:30:00.5", "base 60"),
        ("010", "decimal"),
        ("-007", "decimal"),
        ("089", "decimal"),
        ("0o10", "decimal"),
        ("0x1F", "decimal"),
        ("0b11", "decimal"),
        ("1_000", "without"),
        ("yes", "true or false"),
        ("No", "true or false"),
        ("on", "true or false"),
        ("OFF", "true or false"),
        (".nan", "finite"),
        ("NaN", "finite"),
        (".inf", "finite"),
        ("-.Inf", "finite"),
        ("inf", "finite"),
        ("1e999", "smaller"),
        ("9223372036854775808", "64 bits"),
        ("1" * 5000, "64 bits"),
    ],
)
def test_what_has_two_readings_is_refused_with_a_remedy(text: str, remedy: str):
    fault = one_fault(f"suite:\n  key: {text}\n")
    assert fault.place == Place(2, 8)
    assert fault.path == ("suite", "key")
    assert remedy in fault.message
    assert fault.got == text[:60]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "given twice, first in line 1"),
        ("a: {b: 1, c: 2, b: 3}\n", (1, 17), "given twice, first in line 1"),
        ("a: &x 1\n", (1, 4), "an anchor (&x)"),
        ("a: &x {b: 1}\n", (1, 4), "an anchor (&x)"),
        ("&x a: 1\n", (1, 1), "an anchor (&x)"),
        ("a: *x\n", (1, 4), "an alias (*x)"),
        ("a: !!int 3\n", (1, 4), "an explicit tag"),
        ("a: !!python/object/apply:os.system [ls]\n", (1, 4), "an explicit tag"),
        ("a: ! 3\n", (1, 4), "an explicit tag"),
        ("<<: {b: 1}\n", (1, 1), "merge keys"),
        ("1: a\n", (1, 1), "a key must be text"),
        ("a:\n  true: 1\n", (2, 3), "a key must be text"),
        ("on: 1\n", (1, 1), "true or false"),
        ("? [a]\n: 1\n", (1, 3), "a key must be plain text"),
        ("*x : 1\n", (1, 1), "a key must be plain text"),
        ("a: 1\n---\nb: 1\n", (2, 1), "one document"),
        ("", (1, 1), "empty"),
        ("# only a comment\n", (1, 1), "empty"),
        ("a:\n\tb: 1\n", (2, 1), "indent with spaces"),
        ("a: b: c\n", (1, 5), "quote a text"),
        ("a: [1, 2\nb: 3\n", (2, 2), "not valid YAML"),
        ("a: 'x\n", (2, 1), "not valid YAML"),
        ('a: "\\UFFFFFFFF"\n', (1, 7), "out of range"),
        ('a: "\\ud800"\n', (1, 4), "surrogate"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", (1, 9), "out of range"),
        ("a: 1\nb: \x07\n", (2, 4), "U+0007"),
        ("%YAML 2.0\n---\na: 1\n", (1, 1), "not valid YAML"),
    ],
)
def test_refusals_name_the_place(text: str, place: tuple[int, int], words: str):
    fault = one_fault(text)
    assert words in fault.line("x.yaml")
    assert fault.place == place


def test_all_faults_at_once_in_the_order_of_the_file(tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: yes\nb: &x 1\na: 2\nc: *x\nd: 010\n")
    with pytest.raises(SpecError) as caught:
        read(path)
    lines = caught.value.message.splitlines()
    assert [line.removeprefix(f"{path}:").split(": ")[0] for line in lines] == ["1:4", "2:4", "3:1", "4:4", "5:4"]


def test_a_repeated_key_keeps_its_first_value_and_place():
    document = parse("a: 1\na: {b: yes}\nc: 3\n", "x.yaml")
    assert document.value == {"a": 1, "c": 3}
    assert document.place(("a",)) == Place(1, 4)
    assert [fault.place for fault in document.faults] == [(2, 1), (2, 8)]


def test_nesting_is_refused_beyond_the_limit_without_recursion():
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x.yaml").faults == ()
    assert one_fault("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).place == Place(1, MAX_DEPTH + 1)
    for opening in ("[", "{", "- ", "? ", "[{a: ", "{a: "):
        document = parse(opening * 3000, "x.yaml")
        assert not document.whole
        assert document.faults


def test_an_alias_bomb_is_refused_and_not_expanded():
    document = parse(BOMB, "x.yaml")
    assert sum("alias" in fault.message for fault in document.faults) == 45
    assert document.value["f"] == [None] * 9


def test_huge_files_are_refused(tmp_path: Path):
    path = tmp_path / "huge.yaml"
    path.write_text("#" * MAX_BYTES)
    assert len(read_text(path)) == MAX_BYTES
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match=r"huge\.yaml:1:1: the file is larger than 4194304 bytes"):
        read(path)


def test_files_of_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(yaml_reader, "MAX_NODES", 5)
    assert parse("[a, b, c, d]", "x.yaml").faults == ()
    fault = one_fault("[a, b, c, d, e]")
    assert fault.message.startswith("more than 5 keys and values")
    assert fault.place == Place(1, 14)


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(SpecError, match=r"none\.yaml:1:1: can't be read: No such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="can't be read: Is a directory"):
        read(tmp_path)
    with pytest.raises(SpecError, match="can't be read"):
        read("a\0b")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(SpecError, match=r"latin\.yaml:2:7: not UTF-8"):
        read(latin)


def test_windows_files_read_the_same(tmp_path: Path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: yes\r\n")
    with pytest.raises(SpecError, match=r":2:4: b: YAML 1\.1 reads this word"):
        read(path)


def test_messages_hold_no_control_characters_and_stay_short():
    assert shown("\x1b[31m") == r"'\x1b[31m'"
    assert shown("x" * 100) == "'" + "x" * 56 + "..."
    assert shown({"a": 1}) == "a mapping"
    assert shown(True) == "true"
    assert dotted(("entries", 2, "search", "a b")) == "entries[2].search['a b']"


def test_a_message_lists_at_most_200_faults_and_counts_the_rest():
    faults = [Fault(place=Place(line, 1), message="wrong") for line in range(1, 251)]
    lines = spec_error("x.yaml", faults).message.splitlines()
    assert len(lines) == 201
    assert lines[-1] == "x.yaml: and 50 more"


def test_near_misses():
    assert near_miss("evolutoin", ["random", "evolution"]) == "did you mean 'evolution'?"
    assert near_miss("Quantum-Inspired", ["quantum_inspired"]) == "did you mean 'quantum_inspired'?"
    assert near_miss("zzz", ["random", "evolution"]) == "known: random, evolution"


text_trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["yes", "1e3", "0o10", "1:30", "<<", "nan", "null", "2026-01", "", "=", "1_0", "- a", "#"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["a", "on", "1", "<<", "~"]), text_trees))
def test_what_dump_writes_reads_back_equal(tree: dict[str, object]):
    document = parse(dump(tree), "x.yaml")
    assert document.faults == ()
    assert document.value == tree


def test_dump_writes_shared_values_out():
    shared = [1, 2]
    assert parse(dump({"a": shared, "b": shared}), "x.yaml").value == {"a": [1, 2], "b": [1, 2]}


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_any_text_is_read_or_refused(text: str):
    document = parse(text, "x.yaml")
    assert document.whole or document.faults


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ab1.:-[]{},&*!|>'\"%@?#\n\t ~_0xoe<=\\u"))
def test_any_text_of_yaml_marks_is_read_or_refused(text: str):
    document = parse(text, "x.yaml")
    assert document.whole or document.faults
    for fault in document.faults:
        assert 1 <= fault.place.line <= text.count("\n") + 2
