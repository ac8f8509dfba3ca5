"""Arrows drawn anew: clear of boxes, in order at each box, labels beside them; the same picture turned."""

import dataclasses

import numpy as np
import pytest

from autodiff.viz.curves import MOST, UNDER, _samples, redraw
from autodiff.viz.layout import Sketch, arrange
from tests.viz.test_layout import apart, random_edges, rectangles, sketch_of


def frame(layout, sketch, key, grown=0.0):
    (x, y), (w, h) = layout.centres[key], sketch.boxes[key]
    return x - w / 2 - grown, y - h / 2 - grown, x + w / 2 + grown, y + h / 2 + grown


def hits(layout, sketch, routes=None):
    """The boxes that arrows run through, but for those that they join."""
    found = []
    for key, tail, head, _ in sketch.arrows:
        for x, y in _samples((routes or layout.routes)[key]):
            for other in sketch.boxes.keys() - {tail, head}:
                left, top, right, bottom = frame(layout, sketch, other)
                if left < x < right and top < y < bottom:
                    found.append((key, other))
    return found


def square():
    """Two arrows that cross and two that do not."""
    edges = [(0, 2), (0, 3), (1, 2), (1, 3)]
    sketch = sketch_of(edges, 4)
    return sketch, arrange(sketch)


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("count", [2, 6, 25])
def test_arrows_keep_clear_of_boxes_and_labels_of_both(rng, direction, count):
    sketch = sketch_of(random_edges(rng, count), count, direction)
    known = arrange(sketch)
    layout = redraw(known, sketch)
    assert layout.beside
    assert set(hits(layout, sketch)) <= set(hits(known, sketch))  # where there is no way round, the route is kept
    axis = 0 if direction == "LR" else 1
    for key, tail, head, _ in sketch.arrows:
        route = layout.routes[key]
        assert (len(route) - 2) % 3 == 0
        assert 0 <= frame(layout, sketch, tail)[2 + axis] - route[0][axis] + 1e-9 < UNDER + 1e-6
        assert route[-1][axis] == pytest.approx(frame(layout, sketch, head)[axis])
        assert all(np.diff([point[axis] for point in _samples(route)]) > -1e-9)  # never back
    drawn = list(rectangles(layout, sketch))
    labels = drawn[count:]
    overlaps = [(a, b) for i, a in enumerate(labels) for b in drawn[: count + i] if not apart(a, b)]
    assert len(overlaps) <= len(labels) // 20


def test_the_straight_lines_would_run_through_boxes(rng):
    """So that the test above can fail."""
    sketch = sketch_of(random_edges(rng, 25), 25)
    layout = redraw(arrange(sketch), sketch)
    straight = {}
    for key, route in layout.routes.items():
        a, b = np.array(route[0]), np.array(route[-1])
        straight[key] = [tuple(a + (b - a) * t) for t in (0.0, 1 / 3, 2 / 3, 1.0)] + [tuple(b)]
    assert hits(layout, sketch, straight)


def test_arrows_leave_and_enter_in_the_order_in_which_they_part():
    sketch, layout = square()
    routes = redraw(layout, sketch).routes
    order = sorted(["n2", "n3"], key=lambda key: layout.centres[key][0])
    toward = {(tail, head): key for key, tail, head, _ in sketch.arrows}
    for tail in ("n0", "n1"):
        assert routes[toward[tail, order[0]]][0][0] < routes[toward[tail, order[1]]][0][0]
    for head in ("n2", "n3"):
        first, second = sorted(["n0", "n1"], key=lambda key: layout.centres[key][0])
        assert routes[toward[first, head]][-1][0] < routes[toward[second, head]][-1][0]


def test_two_arrows_cross_once_and_at_a_clear_angle():
    sketch, layout = square()
    routes = redraw(layout, sketch).routes
    left, right = sorted(["n0", "n1"], key=lambda key: layout.centres[key][0])
    near, far = sorted(["n2", "n3"], key=lambda key: layout.centres[key][0])
    toward = {(tail, head): key for key, tail, head, _ in sketch.arrows}
    a, b = (np.array(_samples(routes[toward[pair]])) for pair in ((left, far), (right, near)))
    heights = np.linspace(a[0, 1], a[-1, 1], 200)
    gap = np.interp(heights, a[:, 1], a[:, 0]) - np.interp(heights, b[:, 1], b[:, 0])
    crossing = np.flatnonzero(np.diff(np.sign(gap)))
    assert len(crossing) == 1
    at = heights[crossing[0]]
    slopes = [np.interp(at + 2, c[:, 1], c[:, 0]) - np.interp(at - 2, c[:, 1], c[:, 0]) for c in (a, b)]
    angles = np.arctan2(slopes, 4.0)
    assert abs(angles[0] - angles[1]) > np.radians(40)


def test_a_skip_goes_round_and_does_not_end_in_a_hook():
    sketch = sketch_of([(0, 1), (1, 2), (2, 3), (0, 3)], 4)
    layout = redraw(arrange(sketch), sketch)
    base, tip = layout.routes["e3"][-2:]
    assert tip[1] - base[1] > abs(tip[0] - base[0]) * 0.5
    assert not hits(layout, sketch)


def test_it_is_the_same_every_time_and_turned(rng):
    edges = random_edges(rng, 15)
    sketch = sketch_of(edges, 15)
    layout = arrange(sketch)
    assert redraw(layout, sketch) == redraw(layout, sketch)
    turned = dataclasses.replace(
        sketch,
        boxes={key: (h, w) for key, (w, h) in sketch.boxes.items()},
        arrows=[(key, tail, head, (h, w)) for key, tail, head, (w, h) in sketch.arrows],
        direction="LR",
    )
    across = redraw(arrange(turned), turned)
    down = redraw(layout, sketch)
    for key, route in down.routes.items():
        np.testing.assert_allclose([(y, x) for x, y in across.routes[key]], route)


def test_a_cycle_keeps_its_routes_and_a_large_picture_all_of_them():
    sketch = sketch_of([(0, 1), (1, 2), (2, 0)], 3)
    layout = arrange(sketch)
    back = redraw(layout, sketch).routes["e2"]
    np.testing.assert_allclose(np.diff(back, axis=0), np.diff(layout.routes["e2"], axis=0))
    large = sketch_of([(0, i) for i in range(1, MOST + 2)], MOST + 2)
    layout = arrange(large)
    assert redraw(layout, large) is layout


def test_nothing_to_draw():
    sketch = Sketch({"n0": (60.0, 40.0)}, [], {(): ["n0"]}, {}, "TB")
    assert redraw(arrange(sketch), sketch).routes == {}
