"""Names in YAML: a key is the name that is written there, though YAML reads a number or a date.

DVC reads params.yaml as YAML does, and keeps what it reads in dvc.lock. So a name is taken as it is
written where DVC keeps it apart from all others; else its quotes are asked for.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from unicodedata import normalize

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from tasks.common.errors import UserError

# YAML's names of what it takes a word for; `value` is an equals sign, and `merge` is `<<`
TEXT, DATE, MERGE, EQUALS = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "merge", "value")
)
Keys = tuple[str | int, ...]  # that lead to a node: names, and positions in lists


def load(text: str) -> Any:
    """The content of a YAML file, whose keys are all texts.

    Raises:
        UserError: with its line, for a key or a date that needs quotes, and for a key that stands
            there twice.
        YAMLError: for what is not YAML.
    """
    yaml = YAML(typ="safe")
    root = yaml.compose(text)
    for keys, node in _nodes(root):
        if isinstance(node, MappingNode):
            _take_names(node, place_of(keys))
        elif node.tag == DATE:
            raise _needs_quotes(node, place_of(keys), "DVC cannot keep a date")
    return None if root is None else yaml.constructor.construct_document(root)


def text_at(text: str, keys: Sequence[str | int]) -> str | None:
    """What is written at the end of these keys; None where there is no number, word or the like."""
    nodes = dict(_nodes(YAML(typ="safe").compose(text)))
    node = nodes.get(tuple(keys))
    return node.value if isinstance(node, ScalarNode) else None


def quoted(name: str) -> str:
    """A name as a key or a value in YAML: in quotes where YAML would not take it for a text."""
    alone = f"block: {name}\nflow: {{{name}: {name}}}"  # what a name may not hold differs
    try:
        is_plain = YAML(typ="safe").load(alone) == {"block": name, "flow": {name: name}}
    except (YAMLError, ValueError):
        is_plain = False
    return name if is_plain else "'" + name.replace("'", "''") + "'"


def in_one_line(value: Any) -> str:
    """Lists, mappings and what is in them as YAML has them in one line."""
    if isinstance(value, dict):
        entries = (f"{quoted(str(key))}: {in_one_line(each)}" for key, each in value.items())
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_one_line, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def place_of(keys: Sequence[str | int]) -> str:
    """Keys as people write them: `augment.policy[2].Rotate`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def _nodes(root: Node | None) -> Iterator[tuple[Keys, Node]]:
    """Each node with the keys that lead to it; one with several names (aliases) comes once."""
    todo: list[tuple[Keys, Node]] = [] if root is None else [((), root)]
    seen = set()
    while todo:
        keys, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield keys, node
        children: list[tuple[str | int, Node]] = []
        if isinstance(node, MappingNode):
            children = [(str(key.value), value) for key, value in node.value]
        elif isinstance(node, SequenceNode):
            children = list(enumerate(node.value))
        todo += [((*keys, key), child) for key, child in reversed(children)]


def _take_names(mapping: MappingNode, place: str) -> None:
    """Make texts of the keys of a mapping. `place`: of the mapping, for the error."""
    keys = [key for key, _ in mapping.value if key.tag != MERGE]
    names: dict[str, Node] = {}
    values: dict[Any, str] = {}  # what DVC reads, and the name
    for key in keys:
        if not isinstance(key, ScalarNode):
            raise UserError(f"{_at(key, place)}: needs names as keys, found a {key.id}")
        composed = normalize("NFC", key.value)  # accents have two encodings that look the same
        if composed in names:
            other = _line(names[composed])
            raise UserError(f"{_at(key, place)}: {key.value} is on line {other} too; keep one")
        value = _read_by_dvc(key, place)
        if value in values:
            raise _needs_quotes(key, place, f"DVC cannot tell it from {values[value]}")
        names[composed], values[value] = key, key.value
    if not _can_be_sorted(values):
        key = next(key for key in keys if key.tag != TEXT)
        raise _needs_quotes(key, place, "DVC cannot sort it among the other names")
    for key in keys:
        key.tag = TEXT


def _read_by_dvc(key: ScalarNode, place: str) -> Any:
    """What DVC reads instead of a name. Raises UserError where it would write it another way."""
    if key.tag == DATE:
        raise _needs_quotes(key, place, "DVC cannot keep a date")
    if key.tag in (TEXT, EQUALS):
        return key.value
    # a constructor of its own, because one remembers what it made of a key
    value = YAML(typ="safe").constructor.construct_object(key)
    written = SafeRepresenter().represent_data(value).value
    if written != key.value:
        raise _needs_quotes(key, place, f"DVC reads it as {written}")
    return value


def _can_be_sorted(values: Iterable[Any]) -> bool:
    """Whether Python can: DVC sorts the keys of what it hashes."""
    try:
        sorted(values)
    except TypeError:
        return False
    return True


def _needs_quotes(node: Node, place: str, why: str) -> UserError:
    return UserError(f"{_at(node, place)}: write '{node.value}', in quotes: {why}")


def _at(node: Node, place: str) -> str:
    """The line of the file and the keys: `line 9 augment.per_class`."""
    return f"line {_line(node)} {place}".rstrip()


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
