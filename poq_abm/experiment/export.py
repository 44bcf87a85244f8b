"""Tables of a run as files for other programs: merged with the treatments' axes, labelled."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.files import write_table, write_text, written_together
from poq_abm.experiment.labels import label, told
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.simulation.table_columns import column

__all__ = ["FORMATS", "SUMMARY", "export", "labelled"]

SUMMARY = "summary"  #: the table of means and intervals, by treatment and group or measure
#: endings of files, and what they are
FORMATS: Mapping[str, str] = {
    ".csv": "comma-separated values, with a codebook beside them",
    ".dta": "Stata 14 or later, with variable labels",
    ".feather": "Arrow IPC, for R and pandas",
    ".parquet": "Parquet, units and meanings in the metadata of the fields",
    ".tex": "a LaTeX table (booktabs) of the summary",
    ".nc": "netCDF by xarray: nodes and replications over their keys",
}
_STATA_NAME, _STATA_LABEL = 32, 80  # the most characters that Stata takes
_MOST_LINES = 40  # of a LaTeX table on one page


def export(
    results: Results, path: str | os.PathLike[str], table: str | None = None
) -> tuple[Path, ...]:
    """Return the files to which a table was written, in the format that the name's end says.

    Every row bears what the axes of the sweep set for its treatment. Units and meanings go where
    the format has room for them: metadata of the fields (``.parquet``, ``.feather``), variable
    labels (``.dta``), attributes (``.nc``), or a codebook ``NAME.codebook.csv`` beside a ``.csv``.

    Parameters
    ----------
    results
        What :func:`poq_abm.run` or :func:`poq_abm.read_results` returned.
    path
        Where to write; :data:`FORMATS` has the endings. A file that is there is never overwritten.
    table
        A table of the results, or ``summary``. By default the one of a row per replication;
        ``.tex`` holds the summary alone, and ``.nc`` nodes and replications.

    Raises
    ------
    InputError
        If there is no such format or table, the file is there already or cannot be written, or a
        package is missing.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{target}: no format ends in {target.suffix!r}; known are {known}")
    files = [target]
    if target.suffix == ".csv":
        files.append(target.with_suffix(".codebook.csv"))
    for file in files:
        if file.exists():
            raise InputError(f"{file} is there already, and nothing is overwritten")
    if target.suffix == ".nc":
        _refuse(table, (), "nodes and replications together")
        _write_netcdf(results, target)
    elif target.suffix == ".tex":
        _refuse(table, (SUMMARY,), f"the {SUMMARY}")
        _write(target, lambda draft: write_text(draft, _latex(results)))
    else:
        made = labelled(results, table or ("queries" if "queries" in results.tables else _MAIN))
        _WRITERS[target.suffix](made, target)
    return tuple(files)


_MAIN = "replications"


def labelled(results: Results, table: str) -> Any:
    """Return an Arrow table of the results, axes beside treatments, fields with unit and meaning.

    An axis is called by the last part of its path where that is a name of its own, else by all of
    it.

    Raises
    ------
    InputError
        If the results have no such table.
    """
    if table == SUMMARY:
        protocols = "queries" in results.tables
        means = results.query_summary(every=True) if protocols else results.overview()
        made = pa.Table.from_pandas(means, preserve_index=False)
        fields = [column(field.name, field.type, *label(field.name)) for field in made.schema]
    elif table in results.tables:
        source = results.tables[table]
        made = source() if callable(source) else source
        fields = [SCHEMAS[table].field(name) for name in made.schema.names]
    else:
        known = [*results.tables, SUMMARY]
        raise InputError(f"these results have no table {table!r}; {nearest(table, known)}")
    made = pa.table(made.columns, schema=pa.schema(fields))
    ids = pa.array(results.treatments["treatment"].astype(str), pa.string())
    place = pc.index_in(made.column("treatment").cast(pa.string()), value_set=ids)
    for at, (path, name) in enumerate(_axis_names(results.treatments, made.schema.names).items()):
        values = _axis_values(results.treatments[path])
        field = column(name, values.type, "", f"axis of the sweep: {path}")
        made = made.add_column(1 + at, field, values.take(place))
    metadata = {"scenario": str(results.scenario.get("name", "")), "table": table}
    return made.replace_schema_metadata(metadata)


def _refuse(table: str | None, taken: tuple[str, ...], holds: str) -> None:
    if table is not None and table not in taken:
        raise InputError(f"such a file holds {holds}, not the table {table!r}")


def _axis_names(treatments: pd.DataFrame, taken: list[str]) -> dict[str, str]:
    """Return the axes' column names by their paths.

    >>> _axis_names(pd.DataFrame(columns=["treatment", "a.k", "b.k", "rounds", "c.m"]), ["rounds"])
    {'a.k': 'a_k', 'b.k': 'b_k', 'rounds': 'axis_rounds', 'c.m': 'm'}
    """
    paths = [str(name) for name in treatments.columns if name != "treatment"]
    leaves = [re.sub(r"\W+", "_", path.rpartition(".")[2]).strip("_") for path in paths]
    names = {}
    for path, leaf in zip(paths, leaves, strict=True):
        whole = re.sub(r"\W+", "_", path).strip("_")
        plain = leaf if leaves.count(leaf) == 1 and leaf not in taken else whole
        names[path] = f"axis_{plain}" if plain in taken else plain
    return names


def _axis_values(values: pd.Series[Any]) -> Any:
    """Return the values of an axis as Arrow has them; those of different kinds as words."""
    plain = [None if value is None or value != value else value for value in values]  # noqa: PLR0124
    kinds = {type(value) for value in plain if value is not None}
    if kinds <= {int, float} or kinds == {bool}:
        return pa.array(plain, pa.float64() if float in kinds else None)
    words = [v if v is None or isinstance(v, str) else json.dumps(v, default=str) for v in plain]
    return pa.array(words, pa.string())


def _told(field: Any, name: str) -> str:
    return str((field.metadata or {}).get(name.encode(), b"").decode())


def _frame(table: Any) -> pd.DataFrame:
    """Return a table as a DataFrame, lists as numbers with blanks between them."""
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas()
    for field in table.schema:
        if pa.types.is_list(field.type):
            frame[field.name] = [" ".join(map(str, row)) for row in frame[field.name]]
    return frame


def _write(path: Path, write: Any, *beside: Path) -> None:
    """Let ``write`` make a file, and others beside it: all whole or none; say where it cannot."""
    try:
        with written_together(path, *beside) as drafts:
            write(*drafts)
    except OSError as error:
        missing = f"there is no folder {path.parent}" * (not path.parent.is_dir())
        raise InputError(f"cannot write {path}: {missing or error.strerror or error}") from None


def _write_csv(table: Any, path: Path) -> None:
    units = [(f.name, _told(f, "unit"), _told(f, "meaning")) for f in table.schema]
    codebook = pd.DataFrame(units, columns=["column", "unit", "meaning"])

    def write(draft: Path, beside: Path) -> None:
        _frame(table).to_csv(draft, index=False)
        codebook.to_csv(beside, index=False)

    _write(path, write, path.with_suffix(".codebook.csv"))


def _write_stata(table: Any, path: Path) -> None:
    names = [name[:_STATA_NAME] for name in table.schema.names]
    frame = _frame(table).set_axis(names, axis=1)
    words = frame.select_dtypes(["object", "string"]).columns
    frame[words] = frame[words].fillna("").astype(object)
    labels = {name: _label(field) for name, field in zip(names, table.schema, strict=True)}
    metadata = table.schema.metadata
    about = f"{metadata[b'scenario'].decode()}, {metadata[b'table'].decode()}"

    def write(draft: Path) -> None:
        frame.to_stata(draft, write_index=False, version=118, variable_labels=labels,
                       data_label=about[:_STATA_LABEL])  # fmt: skip

    try:
        _write(path, write)
    except ValueError as error:
        raise InputError(f"{path}: Stata cannot hold this table: {error}") from None


def _label(field: Any) -> str:
    """Return a variable's label: meaning and unit, the meaning cut where there is no room.

    >>> _label(column("cost", pa.float64(), "C", "charged"))
    'charged (C)'
    """
    unit, meaning = _told(field, "unit"), _told(field, "meaning")
    end = f" ({unit})" if unit else ""
    room = _STATA_LABEL - len(end)
    return (meaning if len(meaning) <= room else meaning[: room - 3] + "...") + end


def _write_feather(table: Any, path: Path) -> None:
    _write(path, lambda draft: pyarrow.feather.write_feather(table, str(draft)))


def _write_parquet(table: Any, path: Path) -> None:
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    _write(path, lambda draft: write_table(draft, table, about))


_WRITERS = {
    ".csv": _write_csv,
    ".dta": _write_stata,
    ".feather": _write_feather,
    ".parquet": _write_parquet,
}


def _write_netcdf(results: Results, path: Path) -> None:
    made = results.to_xarray()
    made.attrs["scenario"] = str(results.scenario.get("name", ""))
    words = {name: str for name, values in made.coords.items() if values.dtype == object}
    for name in words:
        made[name] = made[name].astype(str)
    complete = any(importlib.util.find_spec(name) for name in ("netCDF4", "h5netcdf"))
    options: dict[str, Any] = {} if complete else {"engine": "scipy", "format": "NETCDF3_64BIT"}
    _write(path, lambda draft: made.to_netcdf(draft, **options))


def _latex(results: Results) -> str:
    """Return the summary as a LaTeX table, an interval in each row and what it rests on below."""
    summary = results.overview()
    axes = _axis_names(results.treatments, list(summary.columns))
    settings = results.treatments.set_index("treatment")
    rows = []
    for row in summary.to_dict("records"):
        if row.get("occurred") == 0 and not row.get("first"):
            continue  # 0 throughout
        swept = {name: settings.loc[row["treatment"], path] for path, name in axes.items()}
        words = {n: f"{v:g}" if isinstance(v, float) else str(v) for n, v in swept.items()}
        rows.append({**words, **told(row)})
    frame = pd.DataFrame(rows)
    scenario, name = results.scenario, str(results.scenario.get("name", "results"))
    fewest, most = summary["replications"].min(), summary["replications"].max()
    count = f"{most}" if fewest == most else f"{fewest} to {most}"
    caption = (
        f"{name}: {count} replications of {scenario['rounds']:,} rounds; 95% intervals over "
        "replications."
    )
    style = frame.style.format(_minus, escape="latex").format_index(escape="latex", axis=1).hide()
    long = len(frame) > _MOST_LINES
    text: str = style.to_latex(
        hrules=True,
        column_format="".join("r" if _is_numeric(frame[one]) else "l" for one in frame),
        caption=caption.replace("_", r"\_").replace("%", r"\%"),
        label=f"tab:{name}",
        environment="longtable" if long else None,
        position_float=None if long else "centering",
    )
    needs = r"% \usepackage{booktabs}" + (r" \usepackage{longtable}" if long else "")
    return f"{needs}\n{text}"


def _minus(cell: Any) -> str:
    r"""Return a cell with the sign of a negative number as LaTeX sets it, and not a hyphen.

    >>> _minus("[-0.5, 1e-07]"), _minus("tiny-1b")
    ('[$-$0.5, 1e-07]', 'tiny-1b')
    """
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", str(cell))


def _is_numeric(values: pd.Series[Any]) -> bool:
    return all(re.fullmatch(r"[-+\d.,\[\]± e]*", str(value)) for value in values)
