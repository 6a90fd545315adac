"""What an address asks for: parsed, as SQL, in words, and back to an address."""

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flows.explorer.queries.fields import FIELDS, JOINS, ROWS_OF, Kind, numbers, sortable
from flows.explorer.queries.fields import Field as Column
from tasks.dataset.columns import SPLITS
from tasks.dataset.variant_measures import UNCHANGED

IMAGES_A_PAGE = 60
ANY = "any"  # as `cluster`: images that look like any other
STATUSES: dict[Kind, tuple[str, ...]] = {
    "original": ("ok", "duplicate", "quarantined"),
    "variant": ("written", "rejected"),
}
# Parameters that only one kind of images has, by kind.
OF_ONE_KIND: dict[str, Kind] = {
    "operation": "variant",
    "source_label": "variant",
    "prediction": "original",
    "confidence_from": "original",
    "confidence_to": "original",
    "cluster": "original",
    "exposure_from": "original",
    "exposure_to": "original",
}
ALIASES = {"least": "from", "most": "to"}  # of parameters that are no names of attributes
OPERATION = '"name":"'  # before a name in the text of `operations`
MOST_CHARACTERS = 4096
MOST_PAGES = 10**9
MOST_SHOWINGS = 2**53

Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Showings = Annotated[int, Field(ge=0, le=MOST_SHOWINGS)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Condition(NamedTuple):
    """What the value of one parameter asks of a row, `sql` with a `?` for each of `values`.

    `parameters`: of the address, those that ask for it; `words`: the same for people.
    """

    parameters: tuple[str, ...]
    column: Column
    sql: str
    values: tuple[Any, ...]
    words: str


class Statement(NamedTuple):
    """A query and its parameters, for database.py."""

    sql: str
    parameters: tuple[Any, ...]


class Query(BaseModel):
    """The parameters of /images, /images.csv and /images/counts; an empty one is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "original"
    name: Text | None = None  # a part of the file's name
    split: Literal[SPLITS] | None = None  # type: ignore[valid-type]
    label: Text | None = None
    source_label: Text | None = None  # where rules relabel, another class than `label`
    status: Text | None = None
    reason: Text | None = None
    operation: Annotated[str, Field(pattern=r"^\w{1,100}$")] | None = None
    prediction: Literal["right", "wrong"] | None = None
    confidence_from: Share | None = None
    confidence_to: Share | None = None
    cluster: Text | None = None
    exposure_from: Showings | None = None
    exposure_to: Showings | None = None
    measure: Text | None = None
    least: FiniteFloat | None = Field(None, alias="from")
    most: FiniteFloat | None = Field(None, alias="to")
    sort: Text | None = None
    order: Literal["asc", "desc"] = "asc"
    page: Annotated[int, Field(ge=1, le=MOST_PAGES)] = 1

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """A form sends every field, also those that nobody filled."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value not in ("", None)}

    @field_validator(*OF_ONE_KIND)
    @classmethod
    def _of_this_kind(cls, value: Any, info: ValidationInfo) -> Any:
        kind = OF_ONE_KIND[str(info.field_name)]
        if info.data.get("kind", kind) != kind:
            raise ValueError(f"{info.data['kind']}s have none; kind={kind} has it")
        return value

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: str, info: ValidationInfo) -> str:
        known = STATUSES[info.data.get("kind", "original")]
        if value not in known:
            raise ValueError(f"needs to be one of {', '.join(known)}")
        return value

    @field_validator("measure", "sort")
    @classmethod
    def _known_field(cls, value: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind", "original")
        fields = numbers(kind) if info.field_name == "measure" else sortable(kind)
        names = [field.name for field in fields]
        if value not in names:
            raise ValueError(f"{kind}s have no such field; they have {', '.join(names)}")
        return value

    @field_validator("least", "most")
    @classmethod
    def _of_a_measure(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("measure", "") is None:
            raise ValueError("needs `measure`, the field that it bounds")
        return value

    @field_validator("confidence_to", "exposure_to", "most")
    @classmethod
    def _not_below(cls, value: float, info: ValidationInfo) -> float:
        lower = {"confidence_to": "confidence_from", "exposure_to": "exposure_from"}
        least = info.data.get(lower.get(str(info.field_name), "least"))
        if least is not None and value < least:
            raise ValueError(f"needs to be at least {least:g}, where the range begins")
        return value

    # --- addresses --------------------------------------------------------------------------------

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """What an address names, with some values changed; None takes one away.

        Another choice or order begins at its first page.
        """
        now = self.model_dump(by_alias=True, exclude_defaults=True)
        if changes:
            now.pop("page", None)
        defaults = {"kind": "original", "order": "asc", "page": 1}
        changed = {**now, **changes}
        return {
            name: value
            for name, value in changed.items()
            if value is not None and value != defaults.get(name)
        }

    def address(self, path: str = "/images", /, **changes: Any) -> str:
        """The address of a page that asks for this, with some values changed; see parameters()."""
        named = urlencode(self.parameters(**changes))
        return f"{path}?{named}" if named else path

    # --- what is asked of the rows ----------------------------------------------------------------

    @property
    def fields(self) -> dict[str, Column]:
        return FIELDS[self.kind]

    def conditions(self) -> list[Condition]:
        """What is asked of each row, in the order of the parameters."""
        equal = [self._equal(name) for name in ("split", "label", "source_label", "status")]
        ranges = [
            self._between(("confidence_from", "confidence_to"), "probability"),
            self._between(("exposure_from", "exposure_to"), "presentations"),
            self._between(("measure", "least", "most"), self.measure or ""),
        ]
        single = (self._reason(), self._operation(), self._prediction(), self._cluster())
        every = (self._name(), *equal, *single, *ranges)
        return [condition for condition in every if condition is not None]

    def _name(self) -> Condition | None:
        if self.name is None:
            return None
        column, words = self.fields["file_name"], f"file name with {self.name}"
        sql = f"contains(lower({column.sql}), lower(?))"
        return Condition(("name",), column, sql, (self.name,), words)

    def _equal(self, name: str) -> Condition | None:
        value = getattr(self, name)
        if value is None:
            return None
        column = self.fields[name]
        return Condition((name,), column, f"{column.sql} = ?", (value,), f"{column.title} {value}")

    def _reason(self) -> Condition | None:
        if self.reason is None:
            return None
        column, words = self.fields["reason"], f"reason {self.reason}"
        return Condition(("reason",), column, f"{reason_sql(column)} = ?", (self.reason,), words)

    def _operation(self) -> Condition | None:
        if self.operation is None:
            return None
        column, words = self.fields["operations"], f"operation {self.operation}"
        # the JSON is not parsed for it
        if self.operation == UNCHANGED:
            sql, value = f"NOT contains({column.sql}, ?)", OPERATION
        else:
            sql, value = f"contains({column.sql}, ?)", f'{OPERATION}{self.operation}"'
        return Condition(("operation",), column, sql, (value,), words)

    def _prediction(self) -> Condition | None:
        if self.prediction is None:
            return None
        column, words = self.fields["correct"], f"predicted {self.prediction}"
        right = self.prediction == "right"
        return Condition(("prediction",), column, f"{column.sql} = ?", (right,), words)

    def _cluster(self) -> Condition | None:
        column = FIELDS["original"]["cluster"]
        if self.cluster == ANY:
            words = "looks like another"
            return Condition(("cluster",), column, f"{column.sql} IS NOT NULL", (), words)
        return self._equal("cluster")

    def _between(self, attributes: tuple[str, ...], name: str) -> Condition | None:
        """A range of a field, of which an end may be open; the last attributes are its ends."""
        least, most = (getattr(self, attribute) for attribute in attributes[-2:])
        bounds = ((">=", least, "from"), ("<=", most, "to"))
        given = [bound for bound in bounds if bound[1] is not None]
        if not given:
            return None
        column = self.fields[name]
        sql = " AND ".join(f"{column.sql} {sign} ?" for sign, _, _ in given)
        words = " ".join([column.title, *(f"{word} {value:.15g}" for _, value, word in given)])
        values = tuple(value for _, value, _ in given)
        parameters = tuple(ALIASES.get(attribute, attribute) for attribute in attributes)
        return Condition(parameters, column, sql, values, words)

    # --- queries ----------------------------------------------------------------------------------

    def numbers(self) -> Statement:
        """The numbers of the chosen rows in their file, sorted; ties in their order there."""
        order = f"{ROWS_OF[self.kind]}.row"
        columns = []
        if self.sort is not None:
            columns = [self.fields[self.sort]]
            direction = "DESC" if self.order == "desc" else "ASC"
            order = f"{columns[0].sql} {direction} NULLS LAST, {order}"
        chosen = self.chosen(self.conditions(), columns)
        sql = f"SELECT {ROWS_OF[self.kind]}.row {chosen.sql} ORDER BY {order}"
        return Statement(sql, chosen.parameters)

    def chosen(self, conditions: Iterable[Condition], columns: Iterable[Column]) -> Statement:
        """FROM and WHERE of the rows that meet conditions, joined with what columns need."""
        conditions = list(conditions)
        needed = {condition.column.relation for condition in conditions}
        joins = _joins(self.kind, needed | {column.relation for column in columns})
        asked = [condition.sql for condition in conditions]
        if self.kind == "variant":
            asked.insert(0, "ledger.variant_index > 0")
        where = f"WHERE {' AND '.join(asked)}" if asked else ""
        parameters = tuple(chain.from_iterable(condition.values for condition in conditions))
        return Statement(f"FROM {ROWS_OF[self.kind]} {joins} {where}", parameters)


def reason_sql(column: Column) -> str:
    """The reason without what a variant's adds to its kind, which comes before the first colon."""
    return f"split_part({column.sql}, ':', 1)" if column.relation == "ledger" else column.sql


def rows_numbered(kind: Kind, columns: Iterable[Column], numbers: list[int]) -> Statement:
    """The rows that have these numbers, in this order."""
    columns = list(columns)
    listed = ", ".join(column.sql for column in columns)
    place = "SELECT unnest(?::INTEGER[]) AS number, unnest(?::INTEGER[]) AS place"
    joins = _joins(kind, {column.relation for column in columns})
    rows = f"JOIN {ROWS_OF[kind]} ON {ROWS_OF[kind]}.row = asked.number {joins}"
    sql = f"SELECT {listed} FROM ({place}) AS asked {rows} ORDER BY place"
    return Statement(sql, (numbers, list(range(len(numbers)))))


def _joins(kind: Kind, relations: set[str]) -> str:
    return " ".join(join for relation, join in JOINS[kind].items() if relation in relations)
