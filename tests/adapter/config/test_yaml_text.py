from __future__ import annotations

import pytest

from adapter.config.yaml_text import parse_yaml


def _problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_yaml(text).problems]


def test_scalars_stay_as_written() -> None:
    data = parse_yaml("{version: 0.10, country: no, time: 1:30, date: 2024-01-01, number: 15, empty: , null: ~}").data
    expected = {"version": "0.10", "country": "no", "time": "1:30", "date": "2024-01-01", "number": "15"}
    assert data == {**expected, "empty": None, "null": None}


def test_json_is_read_too() -> None:
    assert parse_yaml('{"a": [1, "2", null, true]}').data == {"a": ["1", "2", None, "true"]}


def test_every_path_has_its_line() -> None:
    lines = parse_yaml("a:\n  b:\n    - c: 1\n      d: 2\n").lines
    assert {path: lines[path] for path in ("a", "a.b", "a.b[0].c", "a.b[0].d")} == {
        "a": 1,
        "a.b": 2,
        "a.b[0].c": 3,
        "a.b[0].d": 4,
    }


def test_repeated_keys_are_found_at_every_depth() -> None:
    assert _problems("a: 1\nb: {c: 1, c: 2}\na: 2\n") == ["a is given twice (line 3)", "b.c is given twice (line 2)"]


def test_merge_keys_share_values_and_what_stands_beside_them_wins() -> None:
    document = parse_yaml("base: &base {x: 1, y: 2}\nmine: {<<: *base, y: 3}\n")
    assert document.problems == ()
    assert document.data == {"base": {"x": "1", "y": "2"}, "mine": {"x": "1", "y": "3"}}


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: [1, 2", "is not readable YAML"),
        ("a: b: c", "is not readable YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("a: *missing", "undefined alias"),
        ("a: &a [*a]", "contains itself"),
        ("a: \x00", "is not readable YAML"),
        ("a: !!python/object/apply:os.system [ls]", "tags are not used here"),
        ("a: !secret x", "tags are not used here"),
        ("? [1, 2]\n: x\n", "has a key that is not plain text"),
        ("[" * 2000, "is not readable YAML"),
    ],
)
def test_unreadable_text_is_a_problem_not_an_exception(text: str, said: str) -> None:
    assert said in "\n".join(_problems(text))


def test_syntax_errors_tell_their_line() -> None:
    assert _problems("a: 1\nb: [\n")[0].endswith("(line 3)")


def test_aliases_that_unfold_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "more than 100000 values" in "\n".join(_problems("\n".join(lines)))


def test_nothing_is_read_from_an_empty_text() -> None:
    document = parse_yaml("# only a comment\n")
    assert (document.data, document.problems) == (None, ())
