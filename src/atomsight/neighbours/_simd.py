"""Three vector instructions that a plain loop does not compile to: filter, gather and count, eight at a time.

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
    typing, bx, by, bz, j, x, y, z, limit, kept, kept_at, count
):
    """Of the points ``j .. j + 7``, append squared distance to (x, y, z) and index of those within ``limit``.

    Eight places behind ``count`` are overwritten. Returns the new count.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        position = arguments[3]
        squared = v.squared_distance([v.load(a, position) for a in range(3)], arguments[4:7])
        inside = builder.fcmp_ordered("<=", squared, v.splat(arguments[7]))
        v.append(squared, inside, 8, arguments[10])
        v.append(v.counting_from(position), inside, 9, arguments[10])
        return builder.add(arguments[10], v.how_many(inside))

    real, whole = types.float64, types.int64
    return whole(bx, by, bz, whole, real, real, real, real, kept, kept_at, whole), generate


@intrinsic
def gather_within(  # type: ignore[no-untyped-def]
    typing, xs, ys, zs, s, end, sx, sy, sz, cx, cy, cz, limit, bx, by, bz, bs, size
):
    """Move the points ``s .. min(s + 8, end) - 1`` by (sx, sy, sz); append those near (cx, cy, cz).

    ``limit`` is the square of how near; ``bs`` receives the indices. Eight places behind ``size`` are
    overwritten. Returns the new size.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        position, end_at, size_now = arguments[3], arguments[4], arguments[16]
        moved = [builder.fadd(v.load(a, position), v.splat(arguments[5 + a])) for a in range(3)]
        squared = v.squared_distance(moved, arguments[8:11])
        inside = builder.fcmp_ordered("<=", squared, v.splat(arguments[11]))
        index = v.counting_from(position)
        inside = builder.and_(inside, builder.icmp_signed("<", index, v.splat(v.short(end_at))))
        for axis in range(3):
            v.append(moved[axis], inside, 12 + axis, size_now)
        v.append(index, inside, 15, size_now)
        return builder.add(size_now, v.how_many(inside))

    real, whole = types.float64, types.int64
    reals = (real,) * 7
    return whole(xs, ys, zs, whole, whole, *reals, bx, by, bz, bs, whole), generate


@intrinsic
def count_below(typing, values, j, value):  # type: ignore[no-untyped-def]
    """How many of ``values[j : j + 8]`` are less than ``value``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        return v.how_many(builder.fcmp_ordered("<", v.load(0, arguments[1]), v.splat(arguments[2])))

    return types.int64(values, types.int64, types.float64), generate


@intrinsic
def rank_eight(typing, values, i, count, ranks):  # type: ignore[no-untyped-def]
    """Into ``ranks[i : i + 8]``: how many of ``values[:count]`` are less than ``values[i : i + 8]``, each."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = _Vectors(context, builder, signature, arguments)
        mine = v.load(0, arguments[1])
        ranks = cgutils.alloca_once_value(builder, ir.Constant(_WHOLES, [0] * LANES))
        with cgutils.for_range(builder, arguments[2]) as loop:
            other = v.splat(builder.load(v.at(0, loop.index)))
            below = builder.zext(builder.fcmp_ordered("<", other, mine), _WHOLES)
            builder.store(builder.add(builder.load(ranks), below), ranks)
        v.store(builder.load(ranks), 3, arguments[1])
        return context.get_dummy_value()

    return types.void(values, types.int64, types.int64, ranks), generate


class _Vectors:
    """Writes LLVM's language for vectors of eight into the function being compiled."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> None:
        self.builder = builder
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
        """Eight doubles of an array argument."""
        vector = self.builder.load(self._vector_at(argument, position, _DOUBLES))
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

    def counting_from(self, position: Any) -> Any:
        """position, position + 1 ... as eight int32."""
        steps = ir.Constant(_INDICES, list(range(LANES)))
        return self.builder.add(self.splat(self.short(position)), steps)

    def append(self, vector: Any, mask: Any, argument: int, position: Any) -> None:
        """Store the lanes that the mask names, closed up, into an array argument."""
        kind = "f64" if vector.type == _DOUBLES else "i32"
        compress = self._declare(
            f"llvm.experimental.vector.compress.v{LANES}{kind}",
            vector.type,
            [vector.type, _MASK, vector.type],
        )
        closed_up = self.builder.call(compress, [vector, mask, ir.Constant(vector.type, ir.Undefined)])
        self.store(closed_up, argument, position)

    def store(self, vector: Any, argument: int, position: Any) -> None:
        """Eight values into an array argument."""
        stored = self.builder.store(vector, self._vector_at(argument, position, vector.type))
        stored.align = 4 if vector.type == _INDICES else 8

    def short(self, value: Any) -> Any:
        """An int64 as int32."""
        return self.builder.trunc(value, _I32)

    def how_many(self, mask: Any) -> Any:
        """Number of lanes set, as int64."""
        return self.builder.zext(self.builder.ctpop(self.builder.bitcast(mask, _I8)), _I64)

    def at(self, argument: int, position: Any) -> Any:
        """Pointer to an element of an array argument."""
        return self.builder.gep(self.arrays[argument].data, [position])

    def _vector_at(self, argument: int, position: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.at(argument, position), kind.as_pointer())

    def _declare(self, name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
        module = self.builder.module
        known = module.globals.get(name)
        return known if known is not None else ir.Function(module, ir.FunctionType(result, arguments), name)
