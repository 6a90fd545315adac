"""Datasets that are edited, and runs of the stage on them, in this process."""

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.augment.__main__ import augment
from tasks.common import events
from tasks.common.errors import UserError
from tasks.dataset.image_bytes import locate_variants, read_row
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import AUGMENT_METRICS, AUGMENTED, LEDGER
from tasks.dataset.selections import class_names, written_variants
from tasks.pixels import hashing
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes

POLICIES = (
    [{"Rotate": {"limit": 40, "p": 0.9}}],
    [
        {"RandomCrop": {"height": 6, "width": 6}},
        {"Rotate": {"limit": 40, "p": 0.9}},
    ],  # smaller images: all rejected
    ["InvertImg"],  # one new image, the others rejected
)
GATES: tuple[dict[str, Any], ...] = (
    {},
    {"border": {"max": 0.1}},
    {"sharpness": {"min": 0.9, "then": "reject"}, "kept": {"min": 0.8}},
    {"contrast": {"max": 1.0, "then": "warn"}},
)
LABELS = "abc"
# Of each step of POLICIES, which class it makes of which.
RELABEL: tuple[dict[str, dict[str, str]], ...] = (
    {},
    {"Rotate": {"a": "b", "b": "a"}, "InvertImg": {"a": "c", "b": "c"}},
    {"Rotate": {"c": "a"}},
)
COMMITTED = Path("committed")


def split(name: str) -> str:
    return "test" if name.startswith("0") else "train"


def plan(rng: random.Random) -> dict[str, Any]:
    """Parameters that say how many."""
    match rng.randrange(6):
        case 0:
            return {"total": rng.randint(30, 50)}
        case 1:
            return {"target_per_class": "max"}  # none for the largest class
        case 2 | 3:
            return {
                "variants_per_image": 2,
                "per_class": {rng.choice(LABELS): {"variants_per_image": 0}},
            }
    return {"variants_per_image": rng.randrange(5)}


@dataclass
class Dataset:
    """Files (label and content by path), those deleted, and what the stage is told."""

    rng: random.Random
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    deleted: list[tuple[str, bytes]] = field(default_factory=list)
    count: dict[str, Any] = field(default_factory=dict)
    policy: int = 0
    policy_of: dict[str, int] = field(default_factory=dict)
    gates: int = 0
    maps: int = 0

    def __post_init__(self) -> None:
        for _ in range(self.rng.randint(4, 12)):
            self.add()
        self.recount()

    def params(self) -> AugmentParams:
        labels = {label for name, (label, _) in self.files.items() if split(name) == "train"}
        count = dict(self.count)
        own = {label: {"policy": POLICIES[policy]} for label, policy in self.policy_of.items()}
        for label, number in count.get("per_class", {}).items():
            own[label] = {**own.get(label, {}), **number}
        count["per_class"] = {label: plan for label, plan in own.items() if label in labels}
        labelled = list(map(self.rule, RELABEL[self.maps])) if self.maps else []
        return AugmentParams(
            policy=POLICIES[self.policy],
            gates=GATES[self.gates],
            labels=list(filter(None, labelled)),
            **count,
        )

    def rule(self, step: str) -> dict[str, Any] | None:
        """What `step` makes of those classes that have it in their policy."""
        there = {label for label, _ in self.files.values()}
        own = {label: POLICIES[self.policy_of.get(label, self.policy)] for label in there}
        classes = [label for label in sorted(there) if step in str(own[label])]
        pairs = RELABEL[self.maps][step].items()
        map = {old: new for old, new in pairs if {old, new} <= there}
        return {"classes": classes, "relabel": {step: map}} if classes and map else None

    def validated(self) -> pd.DataFrame:
        """Write the files; the rows that validate would make of them."""
        shutil.rmtree("data/raw", ignore_errors=True)
        rows = []
        for name in sorted(self.files, key=str.encode):
            label, content = self.files[name]
            path = Path("data/raw") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sha256, shape = hashing.sha256(content), decode(content).pixels.shape
            facts = {"source_id": sha256[:16], "sha256": sha256, "file_name": name, "label": label}
            facts["pixel_xxh3"] = hashing.to_hex(hashing.fast_pixel_hash(decode(content).pixels))
            place = {"container": None, "offset": None, "bytes": len(content)}
            size = {
                "height": shape[0],
                "width": shape[1],
                "channels": 1 if len(shape) == 2 else 3,
                "grey": len(shape) == 2,
                "bits": 8,
            }
            rows.append(
                {**facts, **place, **size, "split": split(name), "format": "PNG", "status": "ok"}
            )
        return pd.DataFrame(rows)

    def path(self) -> str:
        return f"{self.rng.randrange(1000):03d}.png"

    def any(self) -> str:
        return self.rng.choice(sorted(self.files))

    def content(self) -> bytes:
        numbers = np.random.default_rng(self.rng.getrandbits(32))
        side = self.rng.randint(4, 8)
        return encode(
            numbers.integers(0, 256, (side, 7, 3)[: self.rng.randint(2, 3)], dtype=np.uint8), "png"
        )

    # --- edits ---

    def add(self) -> None:
        self.files[self.path()] = self.rng.choice(LABELS), self.content()

    def delete(self) -> None:
        if len(self.files) > 3:
            self.deleted.append(self.files.pop(self.any()))

    def restore(self) -> None:
        if self.deleted:
            self.files[self.path()] = self.deleted.pop()

    def rename(self) -> None:
        moved = self.files.pop(self.any())
        self.files[self.path()] = moved

    def relabel(self) -> None:
        name = self.any()
        self.files[name] = self.rng.choice(LABELS), self.files[name][1]

    def replace(self) -> None:
        name = self.any()
        label, old = self.files[name]
        self.deleted.append((label, old))
        self.files[name] = label, self.content()

    def recount(self) -> None:
        self.count = plan(self.rng)

    def change_recipe(self) -> None:
        self.policy = self.rng.randrange(len(POLICIES))

    def change_gates(self) -> None:
        self.gates = self.rng.randrange(len(GATES))

    def change_maps(self) -> None:
        self.maps = self.rng.randrange(len(RELABEL))

    def change_recipe_of_a_class(self) -> None:
        self.policy_of[self.rng.choice(LABELS)] = self.rng.randrange(len(POLICIES))

    def add_what_was_made(self) -> None:
        """An image that a variant equals, held out or of any class; or such an image goes."""
        kept = [name for name in self.files if name.endswith("-made.png")]
        if kept and self.rng.random() < 0.5:
            del self.files[self.rng.choice(sorted(kept))]
            return
        made = locate_variants(written_variants(read_ledger())) if LEDGER.exists() else ()
        if len(made):
            image = read_row(made.iloc[self.rng.randrange(len(made))])
            path = self.rng.choice("01") + self.path().replace(".png", "-made.png")
            self.files[path] = self.rng.choice(LABELS), image

    def lose_half_of_the_cache(self) -> None:
        for path in sorted(Path(".variegate").rglob("*.*")):
            if self.rng.random() < 0.5:
                path.unlink()

    def commit(self) -> None:
        shutil.rmtree(COMMITTED, ignore_errors=True)
        shutil.copytree(AUGMENTED, COMMITTED)

    def commit_and_clone(self) -> None:
        self.commit()
        shutil.rmtree(".variegate")

    def edit(self) -> None:
        edits = [
            self.add,
            self.delete,
            self.restore,
            self.rename,
            self.rename,
            self.relabel,
            self.replace,
        ]
        edits += [self.recount, self.recount, self.change_recipe, self.lose_half_of_the_cache]
        edits += [
            self.change_recipe_of_a_class,
            self.change_gates,
            *[self.change_maps] * 2,
            *[self.add_what_was_made] * 4,
        ]
        self.rng.choice([*edits, self.commit, self.commit_and_clone])()


def files_below(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def run(
    dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Run the stage in `folder`; what it left, and what it said."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    said: dict[str, int] = {}
    monkeypatch.setattr(events, "report_counts", said.update)
    params, validated = dataset.params(), dataset.validated()
    recipes = Recipes.from_params(params, AS_DECODED, class_names(validated))
    try:
        augment(validated, params, recipes)
    except UserError as error:  # none of the variants planned was written
        return {"error": str(error).encode()}, said
    files = {name: path.read_bytes() for name, path in files_below(Path("data/augmented")).items()}
    return {**files, "metrics": AUGMENT_METRICS.read_bytes()}, said
