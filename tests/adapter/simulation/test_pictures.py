from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from adapter.simulation.course import Course
from adapter.simulation.svg_picture import PictureRun, render_svg
from adapter.simulation.text_picture import draw, render_text_picture, squeeze

SVG = "{http://www.w3.org/2000/svg}"
COURSE = Course(
    bin_s=10.0,
    demand_per_s=(0.0, 2.0, 4.0, 1.0),
    ready=(1.0, 1.0, 1.5, 2.0),
    starting=(0.0, 0.5, 0.5, 0.0),
    pending=(0.0, 0.0, 0.0, 0.0),
    draining=(0.0, 0.0, 0.0, 1.0),
    attained=(None, 1.0, 0.5, 1.0),
    cost=(1.0, 2.0, 3.0, 4.0),
)


def parse(*runs: PictureRun, title: str = "a trace") -> ElementTree.Element:
    return ElementTree.fromstring(render_svg(title, 40.0, runs))


def test_the_picture_of_a_run_is_well_formed_and_shows_its_states_and_its_bound() -> None:
    root = parse(PictureRun("slo", COURSE, 2.5), title='requests < "many" & more')
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert words[0] == 'requests < "many" & more'
    assert {"demand [1/s]", "replicas", "attained [%]", "cost", "ready", "starting", "pending", "draining"} <= set(
        words
    )
    assert "bound 2.5" in words
    assert len(list(root.iter(f"{SVG}polygon"))) == 4
    assert len(list(root.iter(f"{SVG}line"))) == 1


def test_every_run_of_a_comparison_has_a_row_with_demand_states_attainment_and_its_bound() -> None:
    names = [f"policy-{number}" for number in range(12)]
    root = parse(*(PictureRun(name, COURSE, 2.0 + number) for number, name in enumerate(names)))
    words = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert set(names) <= set(words)
    assert len([word for word in words if word.startswith("bound ")]) == 12
    assert len(list(root.iter(f"{SVG}polygon"))) == 12 * 4
    assert len(list(root.iter(f"{SVG}polyline"))) == 12 * 3
    assert len(list(root.iter(f"{SVG}line"))) == 12
    assert all(words.count(name) == 1 for name in ("demand [1/s]", "replicas", "attained [%]", "cost", "starting"))


def test_rows_of_a_comparison_have_one_scale() -> None:
    dear = replace(COURSE, cost=(2.0, 4.0, 6.0, 8.0))
    root = parse(PictureRun("cheap", COURSE), PictureRun("dear", dear))
    lines = [element.attrib["points"].split() for element in root.iter(f"{SVG}polyline")]
    frames = [float(element.attrib["y"]) for element in root.iter(f"{SVG}rect") if element.get("fill") == "none"]
    cheap, dearer = (float(points[-1].split(",")[1]) for points in (lines[2], lines[-1]))
    assert dearer == pytest.approx(frames[4])  # the highest of all touches the top of its frame
    assert cheap == pytest.approx(frames[0] + 96.0 / 2.0)  # half of that is half as high


@pytest.mark.parametrize("runs", [1, 2, 21])
def test_what_is_drawn_lies_within_the_picture(runs: int) -> None:
    root = parse(*(PictureRun(f"policy-{number}", COURSE, 2.5) for number in range(runs)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in [*root.iter(f"{SVG}polyline"), *root.iter(f"{SVG}polygon")]:
        for point in element.attrib["points"].split():
            x, y = (float(part) for part in point.split(","))
            assert 0.0 <= x <= width
            assert 0.0 <= y <= height
    sides = {"x": width, "x1": width, "x2": width, "width": width, "y": height, "y1": height, "y2": height}
    for element in root.iter():
        for name, most in (sides | {"height": height}).items():
            assert 0.0 <= float(element.get(name, 0.0)) <= most


def test_a_bin_without_requests_breaks_the_line_of_attainment() -> None:
    holes = Course(**{**{name: getattr(COURSE, name) for name in Course.__slots__}, "attained": (1.0, None, None, 1.0)})
    drawn = [element.attrib["points"].split() for element in parse(PictureRun("slo", holes)).iter(f"{SVG}polyline")]
    assert sorted(len(points) for points in drawn) == [1, 1, 4, 4]


def test_a_bound_that_nobody_can_keep_is_not_drawn() -> None:
    assert not list(parse(PictureRun("slo", COURSE, math.inf)).iter(f"{SVG}line"))


def test_nothing_at_all_can_be_drawn() -> None:
    nothing = Course(10.0, (0.0,), (0.0,), (0.0,), (0.0,), (0.0,), (None,), (0.0,))
    assert parse(PictureRun("slo", nothing, 0.0)).tag == f"{SVG}svg"
    assert "attained" in render_text_picture("slo", nothing)


def test_the_terminal_shows_heights() -> None:
    lines = render_text_picture("slo", COURSE).splitlines()
    assert lines[0] == "slo: 4 bins of 10 s"
    assert lines[1].split() == ["demand", "▁▅█▃", "0..4/s"]
    assert lines[4] == "  attained  █▅█ lowest 50.0 %"
    assert render_text_picture("slo", COURSE, is_ascii=True).isascii()


@pytest.mark.parametrize(
    "values, width, expected",
    [
        ((1.0, 3.0, 5.0, 7.0), 2, [2.0, 6.0]),
        ((1.0, None, None, None), 2, [1.0, None]),
        ((1.0, 2.0), 9, [1.0, 2.0]),
    ],
)
def test_values_are_squeezed_to_means(values: tuple[float | None, ...], width: int, expected: list[float]) -> None:
    assert squeeze(values, width) == expected


def test_nothing_is_the_lowest_block() -> None:
    assert draw([0.0, None, 0.0], 0.0) == "▁ ▁"
