"""List the clips of a Hugging Face data set: parquet files with a column of audio.

The audio column is a struct of `bytes` (a file of any format that is read) and `path`, or plain
bytes. Listing reads the other columns only; bytes are read where the clip is
(`crydistill.members`). A row without bytes is the file that its `path` names, relative to the
parquet file's folder.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crydistill.corpora.clip import Clip
from crydistill.corpora.fields import Layout, Say, complete, files_of, place_in
from crydistill.errors import CorpusError, first_line
from crydistill.json_file import parse_json
from crydistill.members import PARQUET, bytes_leaf, parquet

_ROWS_AT_ONCE = 8192


def read_parquet(path: str | Path, layout: Layout, *, say: Say = lambda line: None) -> list[Clip]:
    """List the clips of a folder of parquet files, of one, or of those that a pattern matches.

    `fields.audio` of the layout is needed only where several columns hold audio.

    Raises
    ------
    CorpusError
        naming file, row and field of what is wrong; in one line also where a file is damaged.
    MissingExtraError
        if pyarrow is not installed.
    """
    path = Path(path)
    clips: list[Clip] = []
    seen: set[str] = set()
    for file in files_of(path, PARQUET):
        try:
            with parquet().ParquetFile(file) as opened:
                clips += _File(opened, file, place_in(file, path), layout, seen).clips()
        except (ValueError, OSError) as error:  # what pyarrow raises of a damaged file
            raise CorpusError(
                f"{file}: damaged, or no parquet file ({first_line(error)}); copy it again"
            ) from error
    complete(clips, path, layout, seen, say)
    return clips


class _File:
    """One parquet file of a data set; adds to `seen` what its fields mean."""

    def __init__(self, opened: Any, file: Path, name: str, layout: Layout, seen: set[str]) -> None:
        self._opened, self._file, self._name, self._layout = opened, file, name, layout
        self._audio = self._audio_column()
        self._names = layout.names(opened.schema_arrow.names, str(file))
        seen.update(self._names)
        self._classes = self._class_names()

    def clips(self) -> Iterator[Clip]:
        number = 0
        for group in range(self._opened.metadata.num_row_groups):
            paths = self._paths(group)
            batches = self._opened.iter_batches(
                _ROWS_AT_ONCE, row_groups=[group], columns=[*dict.fromkeys(self._names.values())]
            )
            first, rows = number, self._opened.metadata.row_group(group).num_rows
            for row in _rows(batches, rows):
                clip_id = f"{self._name}/{number}"
                place = f"{self._file}: row {number}"
                audio = self._place(number, paths.get(number - first), place)
                named = {key: self._named(key, value) for key, value in row.items()}
                yield self._layout.clip(clip_id, audio, named, self._names, place)
                number += 1

    def _place(self, number: int, elsewhere: str | None, place: str) -> Path:
        """Where a row's recording is: in its bytes, or in a file that it names."""
        if elsewhere is None:
            return self._file / self._audio / str(number)
        if not elsewhere:
            raise CorpusError(f"{place}: field '{self._audio}' has neither bytes nor path")
        return self._file.parent / elsewhere

    def _paths(self, group: int) -> dict[int, str]:
        """Rows of a group without bytes, from its first, and the path that they name instead."""
        leaf = bytes_leaf(self._opened.schema_arrow, self._audio)
        metadata = self._opened.metadata.row_group(group)
        leaves = (metadata.column(number) for number in range(metadata.num_columns))
        statistics = next(each for each in leaves if each.path_in_schema == leaf).statistics
        if statistics is not None and statistics.null_count == 0:
            return {}
        values = self._opened.read_row_group(group, columns=[self._audio]).column(0).to_pylist()
        structs = (value if isinstance(value, dict) else {"bytes": value} for value in values)
        return {
            number: value.get("path") or ""
            for number, value in enumerate(structs)
            if not value.get("bytes")
        }

    def _named(self, name: str, value: Any) -> Any:
        """A value, with the names of classes in place of their numbers."""
        classes = self._classes.get(name)
        if classes is None or value is None:
            return value
        numbers = value if isinstance(value, list) else [value]
        return [classes[number] if 0 <= number < len(classes) else number for number in numbers]

    def _audio_column(self) -> str:
        import pyarrow

        schema = self._opened.schema_arrow
        named = self._layout.fields.get("audio")
        found = [
            column.name
            for column in schema
            if (pyarrow.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0)
            or (column.name == "audio" and pyarrow.types.is_binary(column.type))
        ]
        if named in schema.names:
            return str(named)
        if named is not None or len(found) != 1:
            raise CorpusError(
                f"{self._file}: {len(found)} columns hold audio; name one in fields.audio: its "
                f"columns are {', '.join(schema.names)}"
            )
        return str(found[0])

    def _class_names(self) -> Mapping[str, list[str]]:
        """Names of the classes of columns that hold class numbers, as Hugging Face records them."""
        try:
            metadata = self._opened.schema_arrow.metadata or {}
            features = parse_json(metadata[b"huggingface"])["info"]["features"]
            return {
                name: _deepest(feature)["names"]
                for name, feature in features.items()
                if _deepest(feature).get("_type") == "ClassLabel"
            }
        except (KeyError, ValueError, TypeError, AttributeError):
            return {}


def _deepest(feature: Any) -> Any:
    """The feature of a list's elements."""
    while isinstance(feature, list) or (isinstance(feature, dict) and "feature" in feature):
        feature = feature[0] if isinstance(feature, list) else feature["feature"]
    return feature if isinstance(feature, dict) else {}


def _rows(batches: Iterator[Any], rows: int) -> Iterator[dict[str, Any]]:
    """Rows of a row group; empty ones if no column is asked for."""
    found = 0
    for batch in batches:
        for row in batch.to_pylist():
            found += 1
            yield row
    for _ in range(rows - found):
        yield {}
