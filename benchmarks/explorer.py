"""Measure the pages of a dataset with a million rows in its ledger, as a browser asks for them.

    python benchmarks/explorer.py [PHOTOS] [--sources N] [--asked N] [--keep FOLDER]

A project is made whose manifests are written, not computed: N training sources with four variants
each, and a quarter as many other images; 2,000 of the sources and their variants have pictures.
Its pages are served by a process of its own, on two processors. Printed are

    first page    from the start of the process, imports included
    each kind of question, asked with random values, one after another: median, 95th percentile
                  and the most of the time by the clock, and of the server's processor time, which
                  says more where others work on the machine
    counts        the counts beside the filters, likewise
    CSV           all variants, as they stand and sorted
    memory        the most that the server had, after the pages and after the CSV files

"again" is another page of a choice that was just asked for; all other questions are new ones.

PHOTOS is a folder of class folders of images: the time in which six connections fetch the 60
thumbnails of a page, when none is in the cache and when all are.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import cv2
import httpx
import numpy as np
import pandas as pd
import psutil
from expand import augment_params, prepare_variegate
from storage import hardware

from flows.explorer.queries.fields import MEASURED, sortable
from flows.explorer.queries.query import IMAGES_A_PAGE
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, MEASURES, SPLITS, VALIDATED_COLUMNS
from tasks.dataset.paths import (
    COUNTS,
    EXPOSURE,
    LEDGER,
    PREDICTIONS,
    RAW,
    SEGMENTS,
    VALIDATED_MANIFEST,
)
from tasks.pixels.hashing import sha256

SOURCES = 200_000
VARIANTS = 4  # of each training source
PICTURED = 2000  # sources with a file, and their variants
SIDE = 28  # pixels, of the pictures
CLASSES = [f"class {number:02d}" for number in range(50)]
OPERATIONS = {
    "HorizontalFlip": '"params":{}',
    "Rotate": '"params":{"angle":%.6f,"border_mode":0,"fill":0.0}',
    "RandomBrightnessContrast": '"params":{"alpha":1.04,"beta":%.6f}',
    "RandomResizedCrop": '"params":{"crop_coords":[3,5,151,149],"scale":%.6f}',
    "GaussianBlur": '"params":{"kernel":[5,5],"sigma":%.6f}',
    "HueSaturationValue": '"params":{"hue_shift":-3.2,"sat_shift":11.5,"val_shift":%.6f}',
}
REASONS = ["not_distinct", "gate: border 0.51 > 0.4", "one_colour"]
SOURCES_AT_ONCE = 20_000
PHOTO_PAGES = 5
CONNECTIONS = 6  # as browsers have to one server
SERVE = """
import time
from flows.explorer.server import pages_served
with pages_served() as url:
    print(url, flush=True)
    time.sleep(10**6)
"""


# --- the project ------------------------------------------------------------------------------


def write_project(sources: int) -> None:
    """Write the manifests and tables of a dataset, and some pictures, below this folder."""
    rng = np.random.default_rng(0)
    images = validated_rows(rng, sources)
    write_originals(images.index[images["split"] == "train"][:PICTURED], images)
    tables.write_table(VALIDATED_MANIFEST, images, VALIDATED_COLUMNS)
    used = images[images["status"] == "ok"][["source_id", "file_name", "label", "split"]]
    train, test = used[used["split"] == "train"], used[used["split"] == "test"]
    tables.write_csv(EXPOSURE, train[["source_id", "label"]].assign(presentations=10))
    predicted = np.where(rng.random(len(test)) < 0.8, test["label"], rng.choice(CLASSES, len(test)))
    said = test[["source_id", "file_name", "label"]].assign(
        predicted=predicted,
        probability=rng.random(len(test)).round(6),
        probability_of_label=rng.random(len(test)).round(6),
    )
    tables.write_csv(PREDICTIONS, said)
    segment = write_segment(rng)
    with tables.ParquetWriter(make_parent(LEDGER), LEDGER_COLUMNS) as ledger:
        for start in range(0, len(train), SOURCES_AT_ONCE):
            rows = ledger_rows(rng, train.iloc[start : start + SOURCES_AT_ONCE])
            if start == 0:
                rows = with_pictures(rows, segment)
            ledger.write(tables.to_arrow(rows, LEDGER_COLUMNS))
    planned = np.where(used["split"] == "train", VARIANTS, 0)
    tables.write_csv(COUNTS, used.assign(planned=planned, written=planned, rejected=0))


def validated_rows(rng: np.random.Generator, sources: int) -> pd.DataFrame:
    """Rows of the validated manifest: `sources` of training, a tenth each of the other splits,
    and a twentieth set aside."""
    parts = {"train": sources, "validation": sources // 10, "test": sources // 10}
    split = np.concatenate([np.repeat(list(parts), list(parts.values())), [None] * (sources // 20)])
    rng.shuffle(split)
    count = len(split)
    used = split != None  # noqa: E711  # of each value
    label = np.sort(rng.choice(CLASSES, count)).astype(object)
    ids = hexadecimal(rng, count, 16)
    return pd.DataFrame(
        {
            **dict.fromkeys(VALIDATED_COLUMNS.names),
            "source_id": ids,
            "sha256": hexadecimal(rng, count, 64),
            "pixel_sha256": hexadecimal(rng, count, 64),
            "pixel_xxh3": hexadecimal(rng, count, 16),
            "file_name": [f"{label[number]}/photo-{number:07d}.png" for number in range(count)],
            "label": label,
            "split": split,
            "cluster": np.where(rng.random(count) < 0.03, ids, None),
            "bytes": rng.integers(1000, 200_000, count),
            "format": "PNG",
            "width": rng.integers(200, 2000, count),
            "height": rng.integers(200, 2000, count),
            "channels": 3,
            "grey": False,
            "bits": 8,
            "lowest": 0,
            "highest": 255,
            **{name: rng.random(count) * 255 for name in ("brightness", "contrast", "sharpness")},
            "status": np.where(used, "ok", "quarantined"),
            "reason": np.where(used, None, "corrupt"),
        }
    )


def ledger_rows(rng: np.random.Generator, train: pd.DataFrame) -> pd.DataFrame:
    """Rows of the ledger: each of some sources, and its variants."""
    rows = train.loc[train.index.repeat(VARIANTS + 1)].reset_index(drop=True)
    count = len(rows)
    index = np.tile(np.arange(VARIANTS + 1), len(train))
    rejected = (rng.random(count) < 0.02) & (index > 0)
    measured = (index > 0) & ~rejected
    names = [f"{one}-v{two:03d}" for one, two in zip(rows["source_id"], index, strict=True)]
    return pd.DataFrame(
        {
            **dict.fromkeys(LEDGER_COLUMNS.names),
            "variant_id": names,
            "source_id": rows["source_id"],
            "label": rows["label"],
            "source_label": rows["label"],
            "split": "train",
            "variant_index": index,
            "seed": rng.integers(0, 2**64 - 1, count, dtype=np.uint64),
            "attempt": rng.integers(0, 2, count),
            "recipe_hash": "5d41402abc4b2a76",
            "operations": operations(rng, count),
            "sha256": hexadecimal(rng, count, 64),
            "pixel_hash": rng.integers(-(2**62), 2**62, count),
            "width": 160,
            "height": rng.integers(100, 200, count),
            "channels": 3,
            "bits": 8,
            "segment": np.where(measured, f"{'0' * 32}.tar", None),
            "offset": np.arange(count) * 7000,
            "length": rng.integers(3000, 9000, count),
            **{name: np.where(measured, rng.random(count).round(4), np.nan) for name in MEASURES},
            "status": np.where(rejected, "rejected", "written"),
            "reason": np.where(rejected, rng.choice(REASONS, count), None),
        }
    )


def operations(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of `operations`: each operation with a probability of one half."""
    applied, values = rng.random((count, len(OPERATIONS))) < 0.5, rng.random(count)
    texts = []
    for row, value in zip(applied, values, strict=True):
        steps = [
            f'{{"name":"{name}",{parameters % value if "%" in parameters else parameters}}}'
            for name, parameters in OPERATIONS.items()
        ]
        texts.append(f"[{','.join(step for step, use in zip(steps, row, strict=True) if use)}]")
    return texts


def hexadecimal(rng: np.random.Generator, count: int, digits: int) -> np.ndarray:
    """Random texts of so many hexadecimal digits."""
    text = rng.bytes(count * digits // 2).hex()
    return np.array([text[place : place + digits] for place in range(0, len(text), digits)], object)


def picture(rng: np.random.Generator) -> bytes:
    """A small PNG file."""
    soft = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (SIDE, SIDE))
    return cv2.imencode(".png", soft)[1].tobytes()


def write_originals(rows: pd.Index, images: pd.DataFrame) -> None:
    """Write a picture for each of some rows, and what the manifest says of its bytes."""
    rng = np.random.default_rng(1)
    for row in rows:
        data = picture(rng)
        make_parent(RAW / images.at[row, "file_name"]).write_bytes(data)
        images.at[row, "sha256"], images.at[row, "bytes"] = sha256(data), len(data)


class Segment(NamedTuple):
    """A tar of pictures: its name, and of each picture the offset, the length and the hash."""

    name: str
    places: pd.DataFrame


def write_segment(rng: np.random.Generator) -> Segment:
    """Write the pictures of the variants of PICTURED sources."""
    name, places = f"{'1' * 32}.tar", []
    with tarfile.open(make_parent(SEGMENTS / name), "w") as tar:
        for number in range(PICTURED * VARIANTS):
            data = picture(rng)
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(data)
            places.append((tar.offset + tarfile.BLOCKSIZE, len(data), sha256(data)))
            tar.addfile(member, io.BytesIO(data))
    return Segment(name, pd.DataFrame(places, columns=["offset", "length", "sha256"]))


def with_pictures(rows: pd.DataFrame, segment: Segment) -> pd.DataFrame:
    """Rows of the ledger whose first variants lie in a segment."""
    chosen = rows.index[rows["variant_index"] > 0][: len(segment.places)]
    rows.loc[chosen, ["offset", "length", "sha256"]] = segment.places[: len(chosen)].to_numpy()
    rows.loc[chosen, "segment"] = segment.name
    return rows.astype({"offset": "int64", "length": "int64"})


def make_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# --- the server -------------------------------------------------------------------------------


class Server(NamedTuple):
    """A process that serves the pages of a project, and a client of it."""

    process: psutil.Process
    client: httpx.Client
    first_page: str

    def peak_bytes(self) -> int:
        """The most memory that the process had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def processor_seconds(self) -> float:
        used = self.process.cpu_times()
        return used.user + used.system


@contextmanager
def served(project: Path) -> Iterator[Server]:
    """Serve the pages of a project, on two processors."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], cwd=project, stdout=subprocess.PIPE, text=True
    )
    try:
        own = psutil.Process(process.pid)
        own.cpu_affinity(own.cpu_affinity()[:2])
        url = process.stdout.readline().strip()
        limits = httpx.Limits(max_connections=CONNECTIONS)
        with httpx.Client(base_url=url, timeout=600, trust_env=False, limits=limits) as client:
            client.get("/images").raise_for_status()
            used = own.cpu_times()
            seconds = time.perf_counter() - started
            first = f"{seconds:.2f} s, of processors {used.user + used.system:.2f} s"
            yield Server(own, client, first)
    finally:
        process.terminate()
        process.wait()


# --- questions --------------------------------------------------------------------------------

Parameters = dict[str, Any]


class Times(NamedTuple):
    """Seconds that answers took, by the clock and of the server's processors."""

    wall: list[float]
    processor: list[float]

    def __str__(self) -> str:
        wall, processor = (np.array(values) * 1000 for values in self)
        return f"{_spread(wall)}   processors {_spread(processor)}   ({len(wall)} asked)"


def _spread(values: np.ndarray) -> str:
    """The median, the 95th percentile and the largest of some milliseconds."""
    found = (np.median(values), np.percentile(values, 95), values.max())
    return " ".join(f"{value:5.0f}" for value in found) + " ms"


def ask(server: Server, addresses: Iterator[str] | list[str]) -> Times:
    """Ask for pages, one after another."""
    times = Times([], [])
    for address in addresses:
        before, started = server.processor_seconds(), time.perf_counter()
        server.client.get(address).raise_for_status()
        times.wall.append(time.perf_counter() - started)
        times.processor.append(server.processor_seconds() - before)
    return times


class Asker:
    """Random questions of the project that write_project() wrote."""

    def __init__(self, rows: dict[str, int]) -> None:
        self.rng = np.random.default_rng(2)
        self.rows = rows  # of each class and kind, see rows_by_class()

    def pick(self, values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def kind(self) -> str:
        return self.pick(["original", "variant", "variant"])

    def filters(self, kind: str) -> Parameters:
        """One, two or three filters with values that some rows have."""
        measure = self.pick(MEASURED[kind][:3])
        low = round(self.rng.random() * 0.8 * (1 if kind == "variant" else 200), 3)
        every: dict[str, Parameters] = {
            "name": {"name": f"{self.rng.integers(100):02d}"},
            "label": {"label": self.pick(CLASSES)},
            "measure": {"measure": measure, "from": low, "to": low * 1.2 + 0.1},
        }
        if kind == "variant":
            every["status"] = {"status": self.pick(["written", "rejected"])}
            every["reason"] = {"reason": self.pick(["gate", "not_distinct"])}
            every["operation"] = {"operation": self.pick(list(OPERATIONS))}
        else:
            every["split"] = {"split": self.pick(SPLITS)}
            every["status"] = {"status": self.pick(["ok", "quarantined"])}
            every["prediction"] = {"prediction": self.pick(["right", "wrong"])}
            every["confidence"] = {"confidence_from": round(self.rng.random(), 4)}
            every["exposure"] = {"exposure_from": int(self.rng.integers(0, 10))}
            every["cluster"] = {"cluster": "any"}
        chosen: Parameters = {}
        for name in self.rng.permutation(list(every))[: self.rng.integers(1, 4)]:
            chosen |= every[name]
        return chosen

    def sort(self, kind: str) -> Parameters:
        return {"sort": self.pick(sortable(kind)).name, "order": self.pick(["asc", "desc"])}

    # --- kinds of questions

    def filtered(self) -> Parameters:
        kind = self.kind()
        return {"kind": kind, **self.filters(kind)}

    def sorted(self) -> Parameters:
        """All rows by some column: any page."""
        kind = self.kind()
        return {"kind": kind, **self.sort(kind), "page": self.page(self.rows[kind])}

    def sorted_last(self) -> Parameters:
        kind = self.kind()
        pages = -(-self.rows[kind] // IMAGES_A_PAGE)
        return {"kind": kind, **self.sort(kind), "page": pages}

    def filtered_and_sorted(self) -> Parameters:
        kind = self.kind()
        return {"kind": kind, **self.filters(kind), **self.sort(kind)}

    def class_last(self) -> Parameters:
        """The last page of a class by some column."""
        kind, label = self.kind(), self.pick(CLASSES)
        pages = -(-self.rows[f"{kind} {label}"] // IMAGES_A_PAGE)
        return {"kind": kind, "label": label, **self.sort(kind), "page": pages}

    def operation_sorted(self) -> Parameters:
        """The variants of an operation by a measure: the most work."""
        named = {"operation": self.pick(list(OPERATIONS)), "label": self.pick(CLASSES)}
        return {"kind": "variant", **named, "sort": self.pick(MEASURED["variant"])}

    def page(self, rows: int) -> int:
        return int(self.rng.integers(1, -(-rows // IMAGES_A_PAGE) + 1))


def rows_by_class(project: Path) -> dict[str, int]:
    """How many originals and variants there are, in all and by class."""
    labels = {
        "original": tables.pq.read_table(project / VALIDATED_MANIFEST, columns=["label"]),
        "variant": tables.pq.read_table(
            project / LEDGER, columns=["label"], filters=[("variant_index", ">", 0)]
        ),
    }
    found = {}
    for kind, table in labels.items():
        found[kind] = len(table)
        counts = table["label"].to_pandas().value_counts()
        found |= {f"{kind} {label}": int(count) for label, count in counts.items()}
    return found


def measure_grid(project: Path, asked: int) -> None:
    """Print what the pages of the project take."""
    asker = Asker(rows_by_class(project))
    kinds: dict[str, Callable[[], Parameters]] = {
        "filters, first page": asker.filtered,
        "sorted, any page": asker.sorted,
        "sorted, last page": asker.sorted_last,
        "filters and sorted, first page": asker.filtered_and_sorted,
        "a class sorted, last page": asker.class_last,
        "operation and class, by a measure": asker.operation_sorted,
    }
    with served(project) as server:
        print(f"{'first page':<36} {server.first_page}")
        every = Times([], [])
        for name, make in kinds.items():
            times = ask(server, [f"/images?{urlencode(make())}" for _ in range(asked)])
            every.wall.extend(times.wall)
            every.processor.extend(times.processor)
            print(f"{name:<36} {times}")
        same = {"kind": "variant", "sort": "sharpness"}
        ask(server, [f"/images?{urlencode(same)}"])
        pages = [{**same, "page": asker.page(asker.rows["variant"])} for _ in range(asked)]
        print(f"{'again, any page':<36} {ask(server, map(as_address, pages))}")
        print(f"{'all but again':<36} {every}")
        none = [f"/images/counts?kind={kind}" for kind in ("original", "variant")]
        print(f"{'counts of everything':<36} {ask(server, none)}")
        some = [asker.filtered() for _ in range(asked)]
        addresses = [f"/images/counts?{urlencode(each)}" for each in some]
        print(f"{'counts with filters':<36} {ask(server, addresses)}")
        memory = server.process.memory_info().rss
        print(f"{'memory':<36} {memory / 1e6:.0f} MB, at most {server.peak_bytes() / 1e6:.0f} MB")
        for order in ("", "&sort=sharpness"):
            print(f"{'CSV of all variants' + order:<36} {read_csv(server, order)}")
        memory = server.process.memory_info().rss
        print(f"{'memory':<36} {memory / 1e6:.0f} MB, at most {server.peak_bytes() / 1e6:.0f} MB")


def as_address(parameters: Parameters) -> str:
    return f"/images?{urlencode(parameters)}"


def read_csv(server: Server, order: str) -> str:
    """What the CSV of all variants takes, without keeping it."""
    started, size = time.perf_counter(), 0
    with server.client.stream("GET", f"/images.csv?kind=variant{order}") as answer:
        for part in answer.iter_raw():
            size += len(part)
    return f"{time.perf_counter() - started:.1f} s for {size / 1e6:.0f} MB"


# --- photos -----------------------------------------------------------------------------------


def measure_photos(photos: Path, work: Path) -> None:
    """Print in what time the thumbnails of a page of photos come."""
    project = work / "photos"
    project.mkdir()
    prepare_variegate(photos, project, augment_params(VARIANTS))
    with served(project) as server, ThreadPoolExecutor(CONNECTIONS) as connections:
        seconds: dict[str, list[float]] = {"not in the cache": [], "in the cache": []}
        names = tables.pq.read_table(project / VALIDATED_MANIFEST, columns=["file_name"])
        listed = names["file_name"].to_pylist()
        for page in range(PHOTO_PAGES):
            start = page * len(listed) // PHOTO_PAGES
            shown = listed[start : start + IMAGES_A_PAGE]
            addresses = [f"/picture/original?{urlencode({'file': name})}" for name in shown]
            for times in seconds.values():
                started = time.perf_counter()
                for answer in connections.map(server.client.get, addresses):
                    answer.raise_for_status()
                times.append(time.perf_counter() - started)
    for name, values in seconds.items():
        print(f"{'60 thumbnails ' + name:<36} median {statistics.median(values) * 1000:.0f} ms")
        print(f"{'':<36} {', '.join(f'{value * 1000:.0f}' for value in values)} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--sources", type=int, default=SOURCES)
    parser.add_argument("--asked", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="a folder for the project, used again")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{hardware()}; {load:.1f} processes were running or waiting before")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project = (options.keep or work / "million").absolute()
        if not (project / COUNTS).is_file():
            shutil.rmtree(project, ignore_errors=True)
            project.mkdir(parents=True)
            here = Path.cwd()
            os.chdir(project)
            write_project(options.sources)
            os.chdir(here)
        rows = tables.pq.read_metadata(project / LEDGER).num_rows
        print(f"{rows:,} rows, {(project / LEDGER).stat().st_size / 1e6:.0f} MB")
        measure_grid(project, options.asked)
        if options.photos:
            measure_photos(options.photos.absolute(), work)
    print(json.dumps({"load": os.getloadavg()}))


if __name__ == "__main__":
    main()
