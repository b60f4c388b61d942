"""Activation and linear regions of small ReLU networks by integers alone, slowly.

Every float is a rational number, so a network of floats is, up to a positive factor for each layer
that changes no sign, a network of integers. A cell is the open set where finitely many affine forms
are positive. One rule determines everything:

    an open convex set is cut by a hyperplane exactly when the two have a point in common,

and whether strict inequalities have a common solution is answered by Fourier-Motzkin elimination
(in one variable: is the largest lower bound below the smallest upper bound). Thus

* a neuron cuts a cell when the cell's forms are all positive somewhere on the neuron's zero set,
* a form of a cell carries a facet when all others are positive somewhere on its zero set,
* two cells share a facet when they have the same facet plane, lie on opposite sides of it, and all
  their other forms are positive at one point of it.

The cells and their faces are those of the canonical polyhedral complex of Grigsby and Lindsey (SIAM
J. Appl. Algebra Geom. 6 (2022)): any two intersect in a common face, because a pre-activation is
continuous, so that a face of one cell is cut by it from both sides or from neither. So the vertices
and edges of the complex are those of its cells, each counted once. Where a pre-activation is
constant on a cell, 0 included, it cuts nothing.

The whole space has no artificial border: a cell may have no vertex, an edge may be a ray or a line.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

# An affine form a . x + b is (a_1, ..., a_d, b); a point x / w is (x_1, ..., x_d, w) with w > 0; w
# = 0 makes it a direction. Their inner product is the form's value at the point, times w.
Vector = tuple[int, ...]
# A rational number, numerator over positive denominator, or None for infinity.
Bound = tuple[int, int] | None


def dot(u: Iterable[int], v: Iterable[int]) -> int:
    return sum(a * b for a, b in zip(u, v, strict=True))


def primitive(v: Iterable[int]) -> Vector:
    """Return the shortest integer vector in the direction of v."""
    v = tuple(v)
    divisor = math.gcd(*v)
    return tuple(a // divisor for a in v) if divisor > 1 else v


def negative(v: Vector) -> Vector:
    return tuple(-a for a in v)


def _pivot(plane: Vector) -> int:
    return next(j for j, a in enumerate(plane) if a)


def restrict(plane: Vector, form: Vector) -> Vector:
    """Return a multiple of the form on {plane = 0}, with one variable eliminated.

    The factor is positive; the remaining variables are coordinates on the plane, which `lift`
    inverts.
    """
    j = _pivot(plane)
    scale, factor = (plane[j], form[j]) if plane[j] > 0 else (-plane[j], -form[j])
    return primitive(
        scale * f - factor * p for i, (f, p) in enumerate(zip(form, plane, strict=True)) if i != j
    )


def lift(plane: Vector, point: Vector) -> Vector:
    """Return the point or direction of {plane = 0} whose coordinates there are those of `point`."""
    j = _pivot(plane)
    value = dot(plane[:j] + plane[j + 1 :], point)
    scale, value = (plane[j], -value) if plane[j] > 0 else (-plane[j], value)
    scaled = [scale * x for x in point]
    return primitive([*scaled[:j], value, *scaled[j:]])


def interval(forms: Iterable[Vector], *, strict: bool) -> tuple[Bound, Bound] | None:
    """Return the interval where forms in one variable are > 0 (strict) or >= 0.

    The result is None if its length is not positive. The two cases differ only for forms that are
    identically 0.
    """
    low: Bound = None
    high: Bound = None
    for a, b in forms:
        if a > 0:
            if low is None or -b * low[1] > low[0] * a:
                low = (-b, a)
        elif a < 0:
            if high is None or b * high[1] < high[0] * -a:
                high = (b, -a)
        elif b < 0 or (strict and b == 0):
            return None
    if low is not None and high is not None and low[0] * high[1] >= high[0] * low[1]:
        return None
    return low, high


def between(low: Bound, high: Bound) -> tuple[int, int]:
    """Return a number strictly inside, with few digits."""
    if low is None:
        return (0, 1) if high is None else (-(-high[0] // high[1]) - 1, 1)
    bits = 0
    if high is not None:
        width, over = high[0] * low[1] - low[0] * high[1], high[1] * low[1]
        bits = max(0, over.bit_length() - width.bit_length() + 1)  # 2^bits width / over > 1
    return (low[0] << bits) // low[1] + 1, 1 << bits


def solution(forms: Iterable[Vector], dim: int) -> Vector | None:
    """Return a point where all the forms in `dim` variables are positive, or None.

    The method is Fourier-Motzkin elimination of the first variable, exact for strict inequalities.
    """
    forms = set(forms)
    if dim == 0:
        return (1,) if all(b > 0 for (b,) in forms) else None
    if dim == 1:
        ends = interval(forms, strict=True)
        return None if ends is None else between(*ends)
    lower = [f for f in forms if f[0] > 0]
    upper = [f for f in forms if f[0] < 0]
    reduced = [f[1:] for f in forms if f[0] == 0]
    reduced += [
        primitive(f[0] * b - g[0] * a for a, b in zip(f[1:], g[1:], strict=True))
        for f in lower
        for g in upper
    ]
    rest = solution(reduced, dim - 1)
    if rest is None:
        return None
    ends = interval(((f[0] * rest[-1], dot(f[1:], rest)) for f in lower + upper), strict=True)
    assert ends is not None
    first, over = between(*ends)
    return primitive([first * rest[-1], *(over * x for x in rest)])


def on_plane(plane: Vector, forms: Iterable[Vector]) -> Vector | None:
    """Return a point of {plane = 0} where all the forms are positive, or None."""
    found = solution((restrict(plane, f) for f in forms), len(plane) - 2)
    return None if found is None else lift(plane, found)


def step(point: Vector, direction: Sequence[int], forms: Iterable[Vector]) -> Vector:
    """Return point + e * direction, e > 0 so small that forms positive at the point stay so."""
    room = [
        Fraction(dot(f, point), -2 * slope * point[-1])
        for f in forms
        if (slope := dot(f[:-1], direction)) < 0
    ]
    e = min(room, default=Fraction(1))
    return primitive(
        [
            *(
                x * e.denominator + e.numerator * d * point[-1]
                for x, d in zip(point[:-1], direction, strict=True)
            ),
            point[-1] * e.denominator,
        ]
    )


@dataclass(frozen=True)
class Edge:
    """A one-dimensional face: its two ends, points or directions, in no order.

    A full line has two directions as ends, so that a point of the line is kept too.
    """

    ends: frozenset[Vector]
    line: Vector | None = None

    @property
    def vertices(self) -> set[Vector]:
        return {end for end in self.ends if end[-1] > 0}

    @property
    def bounded(self) -> bool:
        return all(end[-1] > 0 for end in self.ends)


def edges_of(facets: Sequence[Vector], dim: int) -> Iterator[Edge]:
    """Yield the edges of {facets >= 0}: its intersections with lines of dim - 1 facet planes."""
    for chosen in itertools.combinations(facets, dim - 1):
        chain: list[Vector] = []
        equations, forms = list(chosen), list(facets)
        while equations:
            plane, *equations = equations
            if not any(plane[:-1]):  # the plane is parallel to those before, or equal to one
                break
            chain.append(plane)
            equations = [restrict(plane, f) for f in equations]
            forms = [restrict(plane, f) for f in forms]
        else:
            reach = interval(forms, strict=False)
            if reach is None:
                continue
            low, high = (
                _lift_all(chain, infinite if end is None else end)
                for end, infinite in zip(reach, ((-1, 0), (1, 0)), strict=True)
            )
            line = None
            if low[-1] == high[-1] == 0:
                line = _where_it_crosses(_lift_all(chain, (0, 1)), high)
            yield Edge(frozenset((low, high)), line)


def _lift_all(chain: Sequence[Vector], point: Vector) -> Vector:
    for plane in reversed(chain):
        point = lift(plane, point)
    return primitive(point)


def _where_it_crosses(point: Vector, direction: Vector) -> Vector:
    """Return the point of the line with 0 in the first coordinate where the direction is not 0."""
    j = _pivot(direction)
    moved = [p * direction[j] - point[j] * d for p, d in zip(point, direction, strict=True)]
    return primitive(moved if direction[j] > 0 else [-x for x in moved])


@dataclass(frozen=True)
class Cell:
    """An open cell {facets > 0}; every form carries a facet, no two carry the same.

    `inside` is a point of it, `pattern` lists the neurons that are on, `forms` are the affine maps
    of the last layer's pre-activations (and then activations) on it.
    """

    facets: tuple[Vector, ...]
    inside: Vector
    pattern: tuple[bool, ...]
    forms: tuple[Vector, ...]

    def switched(self, on: bool) -> Cell:
        return Cell(self.facets, self.inside, (*self.pattern, on), self.forms)

    def cut(self, form: Vector) -> list[Cell]:
        """Return the parts where the form is positive (neuron on) and negative (neuron off)."""
        if not any(form[:-1]):
            return [self.switched(form[-1] > 0)]
        form = primitive(form)
        common = on_plane(form, self.facets)
        if common is None:
            return [self.switched(dot(form, self.inside) > 0)]
        return [
            Cell(
                irredundant((*self.facets, side)),
                step(common, side[:-1], self.facets),
                (*self.pattern, on),
                self.forms,
            )
            for on, side in ((True, form), (False, negative(form)))
        ]


def irredundant(forms: Sequence[Vector]) -> tuple[Vector, ...]:
    """Return those of the pairwise different forms that carry a facet of the cell they bound."""
    return tuple(f for f in forms if on_plane(f, [g for g in forms if g != f]) is not None)


def _integer_layers(weights: Sequence[Any], biases: Sequence[Any]) -> Iterator[list[Vector]]:
    """Yield the rows (weights, bias) of each layer as integers, times a positive number each."""
    scale = 1  # the scale of the layer's inputs
    for w, b in zip(weights, biases, strict=True):
        rows = [([Fraction(x) for x in row], Fraction(c)) for row, c in zip(w, b, strict=True)]
        q = math.lcm(*(x.denominator for row, c in rows for x in (*row, c)))
        yield [(*(int(x * q) for x in row), int(c * q * scale)) for row, c in rows]
        scale *= q


def _apply(row: Vector, forms: Sequence[Vector]) -> Vector:
    """Return the pre-activation with this row, as a form in the network's input."""
    *slopes, constant = (dot(row[:-1], column) for column in zip(*forms, strict=True))
    return (*slopes, constant + row[-1])


@dataclass(frozen=True)
class Counts:
    """The counts, by the names of the package."""

    activation_regions: int
    linear_regions: int
    bounded: int
    unbounded: int
    vertices: int
    edges: int
    sides: int
    mean_sides: float
    zero_cell_sides: int | None
    layer_regions: tuple[int, ...]


@dataclass(frozen=True)
class Complex:
    """The cells of a network on the whole space or in a box, whose faces then are faces too.

    `cells[i].forms` are the network's outputs there, all times one positive number.
    """

    dim: int
    cells: tuple[Cell, ...]
    layer_regions: tuple[int, ...]
    box: frozenset[Vector]

    @cached_property
    def cell_edges(self) -> list[set[Edge]]:
        """Return the edges of each cell; in one dimension the edge is the cell itself."""
        return [set(edges_of(cell.facets, self.dim)) for cell in self.cells]

    @cached_property
    def edges(self) -> set[Edge]:
        return set().union(*self.cell_edges)

    @cached_property
    def vertices(self) -> set[Vector]:
        return {vertex for edge in self.edges for vertex in edge.vertices}

    @cached_property
    def sides(self) -> int:
        """Return the number of facets of all cells; one between two cells counts twice."""
        return sum(len(cell.facets) for cell in self.cells)

    @cached_property
    def unbounded(self) -> int:
        """Return the number of unbounded cells; in a box, of those with a facet on its border.

        A polyhedron is bounded if it has edges and all of them have two vertices: one that contains
        a line has no vertex, and any other unbounded one has a ray as an edge.
        """
        if self.box:
            return sum(not self.box.isdisjoint(cell.facets) for cell in self.cells)
        return sum(not (e and all(edge.bounded for edge in e)) for e in self.cell_edges)

    @cached_property
    def linear_regions(self) -> int:
        """Return the number of classes of cells that share facets and the output's gradient."""
        gradients = [tuple(f[:-1] for f in cell.forms) for cell in self.cells]
        behind = defaultdict(list)  # the cells with this gradient and this facet
        for i, cell in enumerate(self.cells):
            for f in cell.facets:
                behind[gradients[i], f].append(i)
        parent = list(range(len(self.cells)))

        def root(i: int) -> int:
            while parent[i] != i:
                i = parent[i]
            return i

        for (gradient, f), here in behind.items():
            for i, j in itertools.product(here, behind.get((gradient, negative(f)), ())):
                if i < j and root(i) != root(j) and self.share_facet(i, j, f):
                    parent[root(j)] = root(i)
        return sum(i == j for i, j in enumerate(parent))

    def share_facet(self, i: int, j: int, f: Vector) -> bool:
        """Return whether cells i and j meet in a facet in the plane of the form f of i."""
        others = {*self.cells[i].facets, *self.cells[j].facets} - {f, negative(f)}
        return on_plane(f, others) is not None

    def sides_at(self, point: Sequence[Any]) -> int | None:
        """Return the number of facets of the cell around a point, None if it is in no open cell."""
        exact = [Fraction(x) for x in point]
        w = math.lcm(*(x.denominator for x in exact))
        p = (*(int(x * w) for x in exact), w)
        around = [c for c in self.cells if all(dot(f, p) > 0 for f in c.facets)]
        assert len(around) <= 1
        return len(around[0].facets) if around else None

    def counts(self, at: Sequence[Any] | None = None) -> Counts:
        return Counts(
            activation_regions=len(self.cells),
            linear_regions=self.linear_regions,
            bounded=len(self.cells) - self.unbounded,
            unbounded=self.unbounded,
            vertices=len(self.vertices),
            edges=len(self.edges),
            sides=self.sides,
            mean_sides=self.sides / len(self.cells),
            zero_cell_sides=self.sides_at([0] * self.dim if at is None else at),
            layer_regions=self.layer_regions,
        )


def faces(weights: Sequence[Any], biases: Sequence[Any], box: Any = None) -> Complex:
    """Return the cells of the ReLU network x -> W_out relu(... relu(W_1 x + b_1) ...) + b_out.

    `weights` and `biases` hold a matrix (out, in) and a vector per layer, the output layer last;
    numbers may be floats, integers or Fractions. With a box, the cells are those inside [-box,
    box]^d.
    """
    dim = len(weights[0][0])
    unit = [tuple(int(i == j) for j in range(dim)) for i in range(dim)]
    border: list[Vector] = []
    if box is not None:
        radius = Fraction(box)
        for u in unit:
            for sign in (1, -1):
                border.append((*(sign * radius.denominator * x for x in u), radius.numerator))
    identity = tuple((*u, 0) for u in unit)
    cells = [Cell(tuple(border), (*(0,) * dim, 1), (), identity)]
    layer_regions = []
    *hidden, output = _integer_layers(weights, biases)
    for rows in hidden:
        cells = [_with_forms(cell, rows) for cell in cells]
        for i in range(len(rows)):
            cells = [part for cell in cells for part in cell.cut(cell.forms[i])]
        cells = [_gated(cell, len(rows)) for cell in cells]
        layer_regions.append(len(cells))
    cells = [_with_forms(cell, output) for cell in cells]
    return Complex(dim, tuple(cells), tuple(layer_regions), frozenset(border))


def _with_forms(cell: Cell, rows: Sequence[Vector]) -> Cell:
    forms = tuple(_apply(row, cell.forms) for row in rows)
    return Cell(cell.facets, cell.inside, cell.pattern, forms)


def _gated(cell: Cell, width: int) -> Cell:
    """Return the cell with forms times 1 or 0, as the last `width` neurons are on or off."""
    on = cell.pattern[len(cell.pattern) - width :]
    forms = tuple(tuple(s * x for x in f) for s, f in zip(on, cell.forms, strict=True))
    return Cell(cell.facets, cell.inside, cell.pattern, forms)
