"""Results of verbs: records, and streams of them, as dictionaries, Arrow tables and DataFrames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from atomsight.core.optional import optional

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS_PER_BATCH = 1024
"""Records that become one batch of an Arrow table."""


class Tabular(ABC):
    """A result that converts to tables."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table.

        Returns:
            A `pyarrow.Table`.
        """

    def to_pandas(self) -> Any:
        """Convert to a pandas DataFrame.

        Returns:
            A `pandas.DataFrame` with the columns of `to_arrow`; maps become dictionaries.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        optional("pandas", "interop", "a DataFrame")
        return self.to_arrow().to_pandas(maps_as_pydicts="strict")


class Record(Tabular):
    """One result of a verb, of one crystal."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, exactly as ``--json`` prints them."""

    @classmethod
    @abstractmethod
    def schema(cls) -> pa.Schema:
        """The columns of `to_arrow`."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `to_arrow`: one for each site, or one where the record has no sites."""
        record = self.as_dict()
        sites = record.pop("sites", None)
        return [record] if sites is None else [{**record, **site} for site in sites]

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table with a row for each site, or one row where the record has no sites.

        Returns:
            A `pyarrow.Table` with the keys of `as_dict` as columns; null where a key is missing.
        """
        return table_of([self], type(self))


R = TypeVar("R", bound=Record)


class Results(Tabular, Iterator[R]):
    """The results of a verb, computed while they are iterated over, once.

    Args:
        records: the results.
        of: their class.

    Example:
        >>> import atomsight
        >>> results = atomsight.predict("examples/paracetamol.cif")
        >>> results.to_arrow().num_rows
        20
    """

    def __init__(self, records: Iterator[R], of: type[R]) -> None:
        self._records = records
        self._of = of

    def __next__(self) -> R:
        return next(self._records)

    def to_arrow(self) -> pa.Table:
        """Convert the results that are left to one Arrow table; see `Record.to_arrow`.

        Returns:
            A `pyarrow.Table`; without a row where there is no result.
        """
        return table_of(self, self._of)


def table_of(records: Iterable[R], of: type[R]) -> pa.Table:
    """Convert records of one class to an Arrow table."""
    import pyarrow as pa

    schema = of.schema()
    left = iter(records)
    batches = []
    while portion := list(islice(left, RECORDS_PER_BATCH)):
        rows = [row for record in portion for row in record.rows()]
        batches.append(pa.RecordBatch.from_pylist(rows, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)
