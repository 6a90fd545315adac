"""The committed dvc.lock of the digits sample is what any x86-64 Linux machine makes."""

import hashlib
import json
import platform
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.acquire.sample import DVC_HASH, write_sample
from tests.conftest import ROOT, Project

# What older processors lack: OpenCV, its IPP, NumPy and the JPEG codec are told not to use it.
OLDER_PROCESSORS = {
    "without AVX2": {
        "OPENCV_CPU_DISABLE": "AVX2,FMA3,AVX512-SKX",
        "OPENCV_IPP": "disabled",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
    "without SSE4": {
        "OPENCV_CPU_DISABLE": "SSE4.1,SSE4.2,AVX,FP16,AVX2,FMA3,AVX512-SKX",
        "OPENCV_IPP": "disabled",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "JSIMD_FORCENONE": "1",
    },
}


def dvc_hash(folder: Path, *suffixes: str) -> str:
    """DVC's name of a folder: the MD5 of the JSON list of its files' MD5 sums and paths.

    `suffixes`: of the files that DVC sees there; all where none is given.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    entries = []
    for name in names:
        if not suffixes or name.endswith(suffixes):
            md5 = hashlib.md5((folder / name).read_bytes()).hexdigest()
            entries.append({"md5": md5, "relpath": name})
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def test_the_sample_is_the_one_that_is_committed(tmp_path: Path) -> None:
    assert write_sample("digits", tmp_path / "raw") == 1797
    assert dvc_hash(tmp_path / "raw") == DVC_HASH["digits"]
    raw = YAML(typ="safe").load(ROOT / "data/raw.dvc")["outs"][0]
    assert (raw["md5"], raw["nfiles"]) == (DVC_HASH["digits"], 1797)


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="measured on x86-64 Linux alone",
)
@pytest.mark.parametrize("processor", ["this one", *OLDER_PROCESSORS])
def test_data_stages_reproduce_the_committed_hashes(processor: str, project: Project) -> None:
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    shutil.copy(ROOT / "params.yaml", project.path("params.yaml"))
    write_sample("digits", project.path("data/raw"))
    for stage in ("ingest", "validate", "augment"):
        project.stage(stage, **OLDER_PROCESSORS.get(processor, {}))
        for out in locked[stage]["outs"]:
            path = project.path(out["path"])
            found = dvc_hash(path) if path.is_dir() else hashlib.md5(path.read_bytes()).hexdigest()
            assert found == out["md5"], f"{stage}: {out['path']} on {processor}"
