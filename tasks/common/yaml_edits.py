"""Change values in a YAML text; whatever is not changed stays, to the byte, as people wrote it.

A round trip through a parser would keep comments, but not how lists are indented, what is in one
line, and which quotes there are.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from tasks.common import yaml_names
from tasks.common.errors import UserError
from tasks.common.yaml_names import in_one_line, quoted

INDENT = "  "


class Edit(NamedTuple):
    """What takes the place of a part of a text; a part without length is an insertion."""

    start: int
    end: int
    text: str


class Entry(NamedTuple):
    """A key of a mapping and its value; `column`: of the key."""

    key: ScalarNode
    value: Node
    column: int

    @property
    def colon(self) -> int:
        """Where the value may begin: after the colon, if the key is followed by it at once."""
        return int(self.key.end_mark.index) + 1


def changed(text: str, new: dict[str, Any]) -> str:
    """A YAML text, a mapping at its top, whose content is to be `new`.

    Lists and mappings of the same shape are changed where they differ; else the whole value is
    written anew, with the comments in it gone.

    Raises:
        UserError: where that cannot be done (by anchors, say, or merged keys).
    """
    root = YAML(pure=True).compose(text) if text.strip() else None
    old = yaml_names.load(text) or {}
    if not isinstance(root, MappingNode) or root.flow_style:
        made = "".join(_lines_of(key, value, 0) for key, value in new.items())
    else:
        made = _with_edits(text, list(_edits_of_mapping(text, root, old, new)))
    if not _is(made, new):
        raise UserError("needs to be changed by hand: it has anchors, or what is like them")
    return made


def _is(text: str, content: dict[str, Any]) -> bool:
    try:
        return bool(yaml_names.load(text) == content)
    except (UserError, YAMLError):
        return False


def _with_edits(text: str, edits: list[Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _edits_of_mapping(text: str, node: MappingNode, old: Any, new: Any) -> Iterator[Edit]:
    """Of a mapping in several lines, each of which begins with a key."""
    entries = {key.value: Entry(key, value, key.start_mark.column) for key, value in node.value}
    for name, entry in entries.items():
        if name not in new:
            yield _removal(text, entry)
        elif old[name] != new[name]:
            yield from _edits(text, entry, old[name], new[name])
    added = [name for name in new if name not in entries]
    if added:
        last = list(entries.values())[-1]
        end = _end_of_line(text, _end(last.value) if _end(last.value) else last.colon)
        lines = "".join(_lines_of(name, new[name], last.column) for name in added)
        yield Edit(end, end, "\n" + lines.removesuffix("\n"))


def _edits(text: str, entry: Entry, old: Any, new: Any) -> Iterator[Edit]:
    """Of a value of a mapping in several lines."""
    value = entry.value
    if isinstance(value, MappingNode) and not value.flow_style and isinstance(new, dict) and new:
        yield from _edits_of_mapping(text, value, old, new)
    elif _alike(value, old, new):
        yield from _edits_of_items(text, value, old, new)
    else:
        yield _replacement(text, entry, new)


def _alike(node: Node, old: Any, new: Any) -> bool:
    """Whether a list, or a mapping in one line, has what another one has, with other values."""
    if isinstance(node, SequenceNode):
        return isinstance(new, list) and len(old) == len(new) and len(new) > 0
    return isinstance(node, MappingNode) and isinstance(new, dict) and list(old) == list(new)


def _edits_of_items(text: str, node: Node, old: Any, new: Any) -> Iterator[Edit]:
    """Of a list, or a mapping in one line, whose items change in their places."""
    is_list = isinstance(node, SequenceNode)
    in_block = isinstance(node, SequenceNode) and not node.flow_style
    items = node.value if is_list else [value for _, value in node.value]
    before, after = (each if is_list else list(each.values()) for each in (old, new))
    for item, was, becomes in zip(items, before, after, strict=True):
        if was == becomes:
            continue
        if _alike(item, was, becomes):
            yield from _edits_of_items(text, item, was, becomes)
        else:
            start, end = int(item.start_mark.index), _end(item)
            if in_block and _name_of(was) != _name_of(becomes):
                end = _end_of_comment(text, end)  # it spoke of the item that was there
            yield Edit(start, end, _item(becomes) if in_block else in_one_line(becomes))


def _replacement(text: str, entry: Entry, new: Any) -> Edit:
    """A value written anew, after its key; where a comment is between them, in the lines after."""
    start, end = int(entry.value.start_mark.index), max(_end(entry.value), entry.colon)
    written = _value_of(new, entry.column)
    comment, _, _ = text[entry.colon : start].rpartition("\n")
    if not comment.strip():
        return Edit(entry.colon, end, written)
    if not written.startswith("\n"):
        written = "\n" + " " * entry.column + INDENT + written.strip()
    return Edit(entry.colon + len(comment), end, written)


def _removal(text: str, entry: Entry) -> Edit:
    """A key and its value, with their lines."""
    start = text.rfind("\n", 0, int(entry.key.start_mark.index)) + 1
    end = _end_of_line(text, max(_end(entry.value), entry.colon))
    return Edit(start, min(end + 1, len(text)), "")


def _end(node: Node) -> int:
    """Where what is written of a value ends: its mark is after the comments that follow it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)


def _name_of(item: Any) -> Any:
    """The name of an item of one key, as steps are, or the item."""
    return next(iter(item)) if isinstance(item, dict) and len(item) == 1 else item


def _end_of_comment(text: str, start: int) -> int:
    """The end of the line, where nothing but a comment is left of it."""
    end = _end_of_line(text, start)
    return end if text[start:end].lstrip(" ").startswith("#") else start


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


# --- how values are written -----------------------------------------------------------------------


def _lines_of(name: str, value: Any, column: int) -> str:
    """A key and its value in lines of their own."""
    return f"{' ' * column}{quoted(name)}:{_value_of(value, column)}\n"


def _value_of(value: Any, column: int) -> str:
    """A value after the colon of a key at a column: steps, and keys of a block, in lines."""
    indent = "\n" + " " * column + INDENT
    if isinstance(value, list) and any(isinstance(item, dict | str) for item in value):
        return "".join(f"{indent}- {_item(item)}" for item in value)
    if isinstance(value, dict) and column == 0:
        return "".join(
            f"\n{INDENT}{quoted(name)}:{_value_of(each, len(INDENT))}"
            for name, each in value.items()
        )
    return f" {in_one_line(value)}"


def _item(value: Any) -> str:
    """An item of a list in lines: of a mapping of one key, as steps are, without the braces."""
    if isinstance(value, dict) and len(value) == 1:
        [(name, its)] = value.items()
        return f"{quoted(name)}: {in_one_line(its)}"
    return in_one_line(value)
