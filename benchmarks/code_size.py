"""Count lines of code by package, without blank lines, comments and docstrings.

Usage::

    python benchmarks/code_size.py [CHECKOUT ...]
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

IGNORED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def lines_of_code(source: str) -> int:
    """Return the number of lines that hold code.

    A bare string that is a statement by itself (a docstring, also of a constant) is not code.
    """
    rows: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in IGNORED:
            rows.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str):
            rows.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(rows)


def packages(checkout: Path) -> Counter[str]:
    """Return the lines of code of each package below ``src/atomsight`` and of ``workshop``."""
    counts: Counter[str] = Counter()
    for root in (checkout / "src" / "atomsight", checkout / "workshop"):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).parts
            name = root.name if root.name == "workshop" else parts[0].removesuffix(".py")
            counts[name] += lines_of_code(path.read_text(encoding="utf-8"))
    return counts


def main() -> None:
    """Print a table with a column for each checkout."""
    checkouts = [Path(argument) for argument in sys.argv[1:]] or [Path(__file__).parents[1]]
    counts = [packages(checkout) for checkout in checkouts]
    print("| package | " + " | ".join(checkout.resolve().name for checkout in checkouts) + " |")
    print("|---" * (len(checkouts) + 1) + "|")
    for name in sorted(set().union(*counts)):
        print(f"| {name} | " + " | ".join(f"{count[name]:,}" for count in counts) + " |")
    print("| **all** | " + " | ".join(f"{count.total():,}" for count in counts) + " |")


if __name__ == "__main__":
    main()
