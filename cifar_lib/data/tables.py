"""Tables of images and labels as the library `datasets` of Hugging Face writes them: parquet and arrow files.

The class names that such a file may carry decide what its labels mean, because a data set that somebody
made from folders has its classes in another order.
"""

import json
import operator
import re
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from .. import CourseError
from .decoding import LARGEST_IMAGE_FILE, LARGEST_IN_ALL, MOST_FILES, Chunk, damage_in_words, decode
from .folders import entries
from .specs import PARTS, Spec

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "labels")
PART = re.compile(rf"(?:^|[-_.])({'|'.join(PARTS)})(?:[-_.]|$)")
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

Row = tuple[bytes | None, int]  # an image file's bytes, if they are there, and its label


def files_in(place: Path, spec: Spec, ending: str) -> list[Path]:
    """The tables of both parts: named for their part, or in a folder that is."""
    folders = [place, *(folder for name, folder in entries(place).items() if name in PARTS)]
    return [
        path
        for folder in folders
        for name, path in entries(folder).items()
        if name.endswith(ending) and not name.startswith(("cache-", "tmp")) and _part_of(path)
    ]


def _part_of(path: Path) -> str | None:
    said = PART.search(path.stem.lower()) or PART.fullmatch(path.parent.name.lower())
    return said[1] if said else None


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def read(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """The images of these files, in the order of the files' names."""
    for part in PARTS:
        for shard in _shards(files, part):
            rows = _parquet_rows(shard, spec) if _is_parquet(shard) else _arrow_rows(shard, spec)
            for i, (content, label) in enumerate(rows):
                yield part, decode(content, f"image {i} of {shard}", spec), [label]


def _shards(files: list[Path], part: str) -> list[Path]:
    """Those of the files that hold a part.

    Raises:
        CourseError: one is missing.
    """
    shards = [path for path in files if _part_of(path) == part]
    place, ending = files[0].parent, files[0].suffix
    if not shards:
        raise CourseError(f"{place} has no {part}-*{ending}: add the missing files.")
    digits = re.search(r"-of-(\d+)", shards[0].name)
    expected = int(digits[1]) if digits else len(shards)
    if len(shards) != expected:
        raise CourseError(
            f"{place} has {len(shards)} of {expected} {part} {ending[1:]} files: add the missing ones."
        )
    return shards


def _columns(schema: Any, shard: Path, spec: Spec) -> tuple[str, str, list[str] | None]:
    """The columns of the images and of the labels, and the names of the classes if they are known."""
    found = [[name for name in known if name in schema.names] for known in (IMAGE_COLUMNS, LABEL_COLUMNS)]
    if [len(names) for names in found] != [1, 1]:
        told = "those of CIFAR-100" if "fine_label" in schema.names else "not those of an image and its label"
        wanted = f"{' or '.join(IMAGE_COLUMNS)}, and {' or '.join(LABEL_COLUMNS)}"
        raise CourseError(
            f"{shard} is damaged or not {spec.title}: its columns are {_listed(schema.names)}, {told} "
            f"({wanted}): rename the columns, or fetch another file."
        )
    (image,), (label,) = found
    names = _class_names(schema, label)
    if names is not None and not _are_classes(names, spec):
        raise CourseError(
            f"{shard} says that its classes are {_listed(names)}, but {spec.title}'s are "
            f"{', '.join(spec.classes)}: fetch {spec.title}."
        )
    return image, label, names


def _class_names(schema: Any, label: str) -> list[str] | None:
    """The names that `datasets` keeps of the classes of a column, if it does."""
    try:
        notes = json.loads((schema.metadata or {})[b"huggingface"])
        return [str(name) for name in notes["info"]["features"][label]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _are_classes(names: list[str], spec: Spec) -> bool:
    return {spec.label(name) for name in names} == set(range(len(spec.classes)))


def _listed(names: list[str]) -> str:
    words = [" ".join(name.split())[:40] for name in names[:10]]
    return ", ".join(words) + (", …" if len(names) > len(words) else "")


def name_the_classes(files: list[Path], spec: Spec) -> bool:
    """Whether the first of these tables says that its classes are those of the data set."""
    import pyarrow.parquet

    try:
        if _is_parquet(files[0]):
            schema = pyarrow.parquet.read_schema(files[0])
        else:
            with pyarrow.memory_map(str(files[0])) as file:
                schema = pyarrow.ipc.read_schema(file)
    except (pyarrow.ArrowException, OSError, ValueError):
        return False
    names = [_class_names(schema, label) for label in LABEL_COLUMNS]
    return any(each is not None and _are_classes(each, spec) for each in names)


def _labels(values: list[Any], names: list[str] | None, shard: Path, spec: Spec) -> list[int]:
    """Labels as numbers in the order of this course's classes, from numbers or class names.

    Raises:
        TypeError: a value is missing, or no whole number.
    """
    labels = list[int]()
    for value in values:
        if names is not None and not isinstance(value, str) and 0 <= operator.index(value) < len(names):
            value = names[value]
        label = spec.label(value) if isinstance(value, str) else operator.index(value)
        if label is None:
            raise CourseError(f"{shard} has the class {value!r}: known are {', '.join(spec.classes)}.")
        labels.append(label)
    return labels


def _parquet_rows(shard: Path, spec: Spec) -> Iterator[Row]:
    """The images' bytes and their labels, one after the other.

    Few are held at once, and the bytes stay a dictionary, because a small file can name one large value
    for millions of rows.
    """
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # the default one keeps 30 MB more for itself
    with _damage(shard, spec):
        schema = pyarrow.parquet.read_schema(shard)
        image, label, names = _columns(schema, shard, spec)
        is_struct = pyarrow.types.is_struct(schema.field(image).type)
        column = f"{image}.bytes" if is_struct else image
        with pyarrow.parquet.ParquetFile(shard, read_dictionary=[column]) as file:
            groups = range(file.metadata.num_row_groups)
            if (
                len(groups) > MOST_FILES
                or sum(file.metadata.row_group(i).total_byte_size for i in groups) > LARGEST_IN_ALL
                or file.metadata.num_rows > MOST_FILES
            ):
                raise CourseError(f"{shard} is refused: it holds far more than {spec.title}'s images.")
            for group in groups:  # one by one: across groups the dictionary would grow
                for batch in file.iter_batches(100, [group], columns=[column, label], use_threads=False):
                    images = batch.column(image)
                    images = images.field("bytes") if is_struct else images
                    _check_lengths(images.dictionary, shard)
                    labels = _labels(batch.column(label).to_pylist(), names, shard, spec)
                    yield from zip(images.to_pylist(), labels, strict=True)


def _arrow_rows(shard: Path, spec: Spec) -> Iterator[Row]:
    """The same of an arrow file, which `datasets` writes as a stream without compression."""
    import pyarrow

    with _damage(shard, spec), pyarrow.memory_map(str(shard)) as file:
        file.seek(max(0, file.size() - len(END_OF_STREAM)))
        if file.read() != END_OF_STREAM:
            raise ValueError("cut short")
        file.seek(0)
        messages = pyarrow.ipc.MessageReader.open_stream(file)
        schema = pyarrow.ipc.read_schema(messages.read_next_message())
        image, label, names = _columns(schema, shard, spec)
        rows = 0
        for message in messages:
            if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
                raise ValueError("it may unpack to more than it seems")
            batch = pyarrow.ipc.read_record_batch(message, schema)
            batch.validate(full=True)  # else a length that is not true would lead outside the file
            rows += len(batch)
            if rows > MOST_FILES:
                raise CourseError(f"{shard} is refused: it holds far more than {spec.title}'s images.")
            images = batch.column(image)
            images = images.field("bytes") if pyarrow.types.is_struct(images.type) else images
            if images.type not in (pyarrow.binary(), pyarrow.large_binary()):
                raise ValueError("other types can name one value many times")
            _check_lengths(images, shard)
            labels = _labels(batch.column(label).to_pylist(), names, shard, spec)
            yield from zip((value.as_py() for value in images), labels, strict=True)


def _damage(shard: Path, spec: Spec) -> AbstractContextManager[None]:
    """A context for reading a table, see `damage_in_words`."""
    import pyarrow

    sentence = f"{shard} is damaged or not {spec.title}: fetch this file again."
    kinds = (KeyError, IndexError, AttributeError, TypeError, ValueError, OverflowError)
    ends = (StopIteration, EOFError, struct.error)
    return damage_in_words(shard, sentence, pyarrow.ArrowException, *kinds, *ends)


def _check_lengths(images: Any, shard: Path) -> None:
    import pyarrow.compute

    longest = pyarrow.compute.max(pyarrow.compute.binary_length(images)).as_py()
    if longest is not None and longest > LARGEST_IMAGE_FILE:
        raise CourseError(f"{shard} is refused: an image in it is too large for a small image.")


def _is_compressed(message: bytes) -> bool:
    """Whether the head of a record batch names a compression, which pyarrow does not tell before it unpacks.

    The head is a flatbuffer: a table begins with how far back its list of fields lies, and the list says
    where in the table each field is, or 0 where it is absent (the format's Message.fbs).
    """

    def number(place: int, kind: str) -> int:
        return struct.unpack_from(f"<{kind}", message, place)[0]

    def field(table: int, which: int) -> int:
        fields = table - number(table, "i")
        place = 4 + 2 * which
        return number(fields + place, "H") if place < number(fields, "H") else 0

    message_table = number(0, "I")
    header = message_table + field(message_table, 2)
    return field(header + number(header, "I"), 3) != 0
