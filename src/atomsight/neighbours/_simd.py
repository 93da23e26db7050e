"""Vector instructions that a plain loop does not compile to: filter, gather, count, write, eight at a time.

A loop that keeps the values within a bound stores one value per step; vector units can compress eight at once
(AVX-512 has an instruction for it, elsewhere LLVM makes one up). Each function here is a few lines of LLVM's
language, called from the kernels like any function. Arithmetic is strict IEEE: no reordering, no fused steps,
so all machines give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

LANES = 8

intrinsic: Any = numba_intrinsic  # its stubs ask for the typing context, which callers do not pass

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_INDICES = ir.VectorType(_I32, LANES)
_WHOLES = ir.VectorType(_I64, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)


@intrinsic
def keep_within(  # type: ignore[no-untyped-def]
    typing, bx, by, bz, tags, j, x, y, z, limit, itself, kept, kept_tags, count
):
    """Of the points ``j .. j + 7``, append squared distance to (x, y, z) and tag of those within ``limit``.

    The point with the tag ``itself`` is left out. Eight places behind ``count`` are overwritten. Returns the
    new count.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        position, count_now = arguments[4], arguments[12]
        squared = v.squared_distance([v.load(a, position) for a in range(3)], arguments[5:8])
        tag = v.load(3, position)
        inside = builder.fcmp_ordered("<=", squared, v.splat(arguments[8]))
        inside = builder.and_(inside, builder.icmp_signed("!=", tag, v.splat(arguments[9])))
        v.append(squared, inside, 10, count_now)
        v.append(tag, inside, 11, count_now)
        return builder.add(count_now, v.how_many(inside))

    real, whole = types.float64, types.int64
    reals = (real,) * 4
    return whole(bx, by, bz, tags, whole, *reals, whole, kept, kept_tags, whole), generate


@intrinsic
def gather_within(  # type: ignore[no-untyped-def]
    typing, xs, ys, zs, tags, s, end, sx, sy, sz, moved, cx, cy, cz, limit, bx, by, bz, block_tags, size
):
    """Move the points ``s .. min(s + 8, end) - 1`` by (sx, sy, sz); append those near (cx, cy, cz).

    ``limit`` is the square of how near; ``block_tags`` receives ``tags + moved``. Eight places behind
    ``size`` are overwritten. Returns the new size.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        position, end_at, size_now = arguments[4], arguments[5], arguments[18]
        here = [builder.fadd(v.load(a, position), v.splat(arguments[6 + a])) for a in range(3)]
        squared = v.squared_distance(here, arguments[10:13])
        inside = builder.fcmp_ordered("<=", squared, v.splat(arguments[13]))
        inside = builder.and_(inside, v.first(builder.sub(end_at, position)))
        for axis in range(3):
            v.append(here[axis], inside, 14 + axis, size_now)
        v.append(builder.add(v.load(3, position), v.splat(arguments[9])), inside, 17, size_now)
        return builder.add(size_now, v.how_many(inside))

    real, whole = types.float64, types.int64
    arrays, shift, ball = (xs, ys, zs, tags), (real,) * 3, (real,) * 4
    block = (bx, by, bz, block_tags)
    return whole(*arrays, whole, whole, *shift, whole, *ball, *block, whole), generate


@intrinsic
def count_before(typing, values, tags, j, value, tag):  # type: ignore[no-untyped-def]
    """How many of the pairs ``j .. j + 7`` come before (value, tag): by value, equal values by tag."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        value, tag = v.splat(arguments[3]), v.splat(arguments[4])
        return v.how_many(v.before(v.load(0, arguments[2]), v.load(1, arguments[2]), value, tag))

    return types.int64(values, tags, types.int64, types.float64, types.int64), generate


def _rank_many(groups: int) -> Any:
    """A function that ranks up to ``8 * groups`` values at a time, all of them held in registers."""

    @intrinsic
    def rank_many(typing, values, count, ranks):  # type: ignore[no-untyped-def]
        """Into ``ranks``: how many of ``values[:count]`` are less than each; the sum of ``ranks[:count]``.

        All ``8 * groups`` places of both arrays are read and overwritten, whatever the count.
        """

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            v = _Vectors(context, builder, signature, arguments)
            none = ir.Constant(_WHOLES, [0] * LANES)
            starts = [_I64(LANES * group) for group in range(groups)]
            mine = [v.load(0, start) for start in starts]
            found = [cgutils.alloca_once_value(builder, none) for _ in starts]
            with cgutils.for_range(builder, arguments[1]) as loop:
                other = v.splat(builder.load(v.at(0, loop.index)))
                for own, ranked in zip(mine, found, strict=True):
                    below = builder.zext(builder.fcmp_ordered("<", other, own), _WHOLES)
                    builder.store(builder.add(builder.load(ranked), below), ranked)
            total = none
            for start, ranked in zip(starts, found, strict=True):
                rank = builder.load(ranked)
                v.store(rank, 2, start)
                wanted = v.first(builder.sub(arguments[1], start))
                total = builder.add(total, builder.select(wanted, rank, none))
            return v.sum(total)

        return types.int64(values, types.int64, ranks), generate

    return rank_many


FEW = 24
"""Up to so many values ``rank_few`` ranks, up to twice as many ``rank_more``."""

rank_few, rank_more = _rank_many(FEW // LANES), _rank_many(2 * FEW // LANES)


@intrinsic
def rank_eight_pairs(typing, values, tags, i, count, ranks):  # type: ignore[no-untyped-def]
    """Into ``ranks[i : i + 8]``: how many of the first ``count`` pairs (value, tag) come before each."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        mine, my_tag = v.load(0, arguments[2]), v.load(1, arguments[2])
        found = cgutils.alloca_once_value(builder, ir.Constant(_WHOLES, [0] * LANES))
        with cgutils.for_range(builder, arguments[3]) as loop:
            other = v.splat(builder.load(v.at(0, loop.index)))
            other_tag = v.splat(builder.load(v.at(1, loop.index)))
            before = builder.zext(v.before(other, other_tag, mine, my_tag), _WHOLES)
            builder.store(builder.add(builder.load(found), before), found)
        v.store(builder.load(found), 4, arguments[2])
        return context.get_dummy_value()

    return types.void(values, tags, types.int64, types.int64, ranks), generate


@intrinsic
def write_eight(  # type: ignore[no-untyped-def]
    typing, squared, tags, t, left, bits, distances, indices, place
):
    """Roots of ``squared[t : t + 8]`` and the atoms of their tags to ``place`` and on, ``left`` of them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        wanted = v.first(arguments[3])
        v.store_some(v.root(v.load(0, arguments[2])), wanted, 5, arguments[7])
        atom = builder.lshr(v.load(1, arguments[2]), v.splat(builder.mul(arguments[4], _I64(3))))
        v.store_some(atom, wanted, 6, arguments[7])
        return context.get_dummy_value()

    whole = types.int64
    return types.void(squared, tags, whole, whole, whole, distances, indices, whole), generate


@intrinsic
def write_shifts(  # type: ignore[no-untyped-def]
    typing, tags, t, left, bits, a, b, c, images, place
):
    """Three digits of each of ``tags[t : t + 8]``, moved by (a, b, c), to ``place`` and on, ``left`` tags."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        tag, bits = v.load(0, arguments[1]), arguments[3]
        ones = v.splat(builder.sub(builder.shl(_I64(1), bits), _I64(1)))
        digits = []
        for axis in range(3):
            shift = v.splat(builder.mul(bits, _I64(2 - axis)))
            digit = builder.trunc(builder.and_(builder.lshr(tag, shift), ones), _INDICES)
            digits.append(builder.add(digit, v.splat(v.short(arguments[4 + axis]))))
        first_two = v.pick(digits[0], digits[1], range(2 * LANES))
        last = v.pick(digits[2], digits[2], range(2 * LANES))
        numbers = builder.mul(arguments[2], _I64(3))
        for part in range(3):
            places = range(part * LANES, (part + 1) * LANES)
            woven = v.pick(first_two, last, [p // 3 + LANES * (p % 3) for p in places])
            wanted = v.first(builder.sub(numbers, _I64(part * LANES)))
            v.store_some(woven, wanted, 7, builder.add(arguments[8], _I64(part * LANES)))
        return context.get_dummy_value()

    whole = types.int64
    return types.void(tags, whole, whole, whole, whole, whole, whole, images, whole), generate


class _Vectors:
    """Writes LLVM's language for vectors of eight into the function being compiled."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> None:
        self.builder = builder
        self.kinds = signature.args
        self.arrays = [
            context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def splat(self, value: Any) -> Any:
        """The value in all eight lanes."""
        nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        first = self.builder.insert_element(nothing, value, _I32(0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(_INDICES, [0] * LANES))

    def load(self, argument: int, position: Any) -> Any:
        """Eight numbers, of eight bytes each, of an array argument."""
        kind = _DOUBLES if self.kinds[argument].dtype == types.float64 else _WHOLES
        vector = self.builder.load(self._vector_at(argument, position, kind))
        vector.align = 8
        return vector

    def squared_distance(self, points: Sequence[Any], centre: Sequence[Any]) -> Any:
        """Eight squared distances, summed in the order x, y, z."""
        total = None
        for along, middle in zip(points, centre, strict=True):
            apart = self.builder.fsub(along, self.splat(middle))
            square = self.builder.fmul(apart, apart)
            total = square if total is None else self.builder.fadd(total, square)
        return total

    def first(self, count: Any) -> Any:
        """The mask of the first so many lanes."""
        return self.builder.icmp_signed(">", self.splat(count), ir.Constant(_WHOLES, list(range(LANES))))

    def before(self, value: Any, tag: Any, other: Any, other_tag: Any) -> Any:
        """The mask of the lanes where (value, tag) comes before the other pair."""
        equal = self.builder.fcmp_ordered("==", value, other)
        earlier = self.builder.and_(equal, self.builder.icmp_signed("<", tag, other_tag))
        return self.builder.or_(self.builder.fcmp_ordered("<", value, other), earlier)

    def root(self, vector: Any) -> Any:
        """Square roots of eight doubles, correctly rounded."""
        root = self._declare(f"llvm.sqrt.v{LANES}f64", _DOUBLES, [_DOUBLES])
        return self.builder.call(root, [vector])

    def pick(self, left: Any, right: Any, places: Sequence[int]) -> Any:
        """The values at these places of two vectors put end to end."""
        chosen = ir.Constant(ir.VectorType(_I32, len(places)), list(places))
        return self.builder.shuffle_vector(left, right, chosen)

    def append(self, vector: Any, mask: Any, argument: int, position: Any) -> None:
        """Store the lanes that the mask names, closed up, into an array argument."""
        compress = self._declare(
            f"llvm.experimental.vector.compress.v{LANES}{vector.type.element.intrinsic_name}",
            vector.type,
            [vector.type, _MASK, vector.type],
        )
        closed_up = self.builder.call(compress, [vector, mask, ir.Constant(vector.type, ir.Undefined)])
        self.store(closed_up, argument, position)

    def store(self, vector: Any, argument: int, position: Any) -> None:
        """Eight values into an array argument."""
        stored = self.builder.store(vector, self._vector_at(argument, position, vector.type))
        stored.align = 4 if vector.type == _INDICES else 8

    def store_some(self, vector: Any, mask: Any, argument: int, position: Any) -> None:
        """The lanes that the mask names into an array argument; the places of the others stay as they are."""
        target = self._vector_at(argument, position, vector.type)
        name = f"llvm.masked.store.v{LANES}{vector.type.element.intrinsic_name}.p0"
        masked = self._declare(name, ir.VoidType(), [vector.type, target.type, _I32, _MASK])
        align = 4 if vector.type == _INDICES else 8
        self.builder.call(masked, [vector, target, _I32(align), mask])

    def short(self, value: Any) -> Any:
        """An int64 as int32."""
        return self.builder.trunc(value, _I32)

    def how_many(self, mask: Any) -> Any:
        """Number of lanes set, as int64."""
        return self.builder.zext(self.builder.ctpop(self.builder.bitcast(mask, _I8)), _I64)

    def sum(self, vector: Any) -> Any:
        """Sum of eight whole numbers."""
        added = self._declare(f"llvm.vector.reduce.add.v{LANES}i64", _I64, [_WHOLES])
        return self.builder.call(added, [vector])

    def at(self, argument: int, position: Any) -> Any:
        """Pointer to an element of an array argument."""
        return self.builder.gep(self.arrays[argument].data, [position])

    def _vector_at(self, argument: int, position: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.at(argument, position), kind.as_pointer())

    def _declare(self, name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
        module = self.builder.module
        known = module.globals.get(name)
        return known if known is not None else ir.Function(module, ir.FunctionType(result, arguments), name)
