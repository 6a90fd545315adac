"""DVC's remote on S3: what one pushes another pulls, also over a connection that fails at times."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import Project, commit
from tests.flows.test_pipeline import stages_line
from tests.flows.versions.test_team import clone
from tests.object_store import SECRET_KEY, Request, Store, failing, one_in

RAW_DVC = "data/raw.dvc"


def use(project: Project, store: Store, bucket: str) -> None:
    """Make a bucket the remote; where the store is, and the login, only the environment says."""
    project.run("dvc", "remote", "add", "-q", "-f", "-d", "store", f"s3://{bucket}/set")
    project.environment.update(store.environment)
    project.environment["DVC_SITE_CACHE_DIR"] = str(project.path(".dvc/site"))


def push(project: Project) -> subprocess.CompletedProcess[str]:
    """What `variegate run --push` does at its end."""
    return call(project, "from flows.versions.publish import push as act")


def pull(project: Project, *targets: str) -> subprocess.CompletedProcess[str]:
    act = f"lambda: dvc_graph.in_repo(lambda repo: remote.pull(repo, {list(targets) or None}))"
    return call(project, f"from flows.versions import dvc_graph, remote; act = {act}")


def call(project: Project, imports: str) -> subprocess.CompletedProcess[str]:
    program = f"import flows; {imports}\nfrom tasks.common import errors\nerrors.run(act)"
    return project.run("python", "-c", program, check=False)


def other_clone(project: Project, place: Path) -> Project:
    """A clone of the last commit, with an empty cache, that uses the same store."""
    other = clone(project, project.root, place)
    other.environment.update(project.environment, PYTHONPATH=str(place))
    other.environment["DVC_SITE_CACHE_DIR"] = str(place / ".dvc/site")
    return other


def images(project: Project) -> dict[str, bytes]:
    """The images of data/raw."""
    return {path.name: path.read_bytes() for path in project.path("data/raw").rglob("*.png")}


def object_of(project: Project, name: str) -> str:
    """The key in the bucket of a file of data/raw."""
    md5 = YAML(typ="safe").load(project.path("data/raw.dvc"))["outs"][0]["md5"]
    listing = json.loads(project.path(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").read_text())
    (found,) = (entry["md5"] for entry in listing if entry["relpath"] == name)
    return f"set/files/md5/{found[:2]}/{found[2:]}"


def test_what_one_pushes_to_s3_another_pulls_and_computes_nothing(
    finished: Project, s3_server: Store, prefect_server: dict[str, str], tmp_path: Path
) -> None:
    use(finished, s3_server, s3_server.make_bucket("shared"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        key = name.removeprefix("AWS_").lower()
        value = finished.environment.pop(name)
        finished.run("dvc", "remote", "modify", "-q", "--local", "store", key, value)
    commit(finished, "a remote")
    run = ("run", "--until", "augment", "--push")
    done = finished.variegate(*run, VARIEGATE_DEBUG="1", **prefect_server)
    said = done.stdout + done.stderr
    assert "files to DVC's remote; no git push: the branch has no upstream" in said
    finished.environment.update(s3_server.environment)  # the other's login is the environment's
    other = other_clone(finished, tmp_path / "clone")
    assert pull(other).stderr == ""
    done = other.variegate("run", "--until", "augment", **prefect_server)
    cached = "data/raw cached, ingest cached, validate cached, augment cached"
    assert stages_line(done.stdout) == cached
    assert other.data_hashes() == finished.data_hashes()

    assert SECRET_KEY not in said + done.stdout + done.stderr
    assert holders(finished.root) == [".dvc/config.local"]
    assert holders(other.root) == holders(Path(prefect_server["PREFECT_HOME"])) == []


def holders(folder: Path) -> list[str]:
    """The files in a folder that hold the secret key; Prefect's server has its database there."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and SECRET_KEY.encode() in path.read_bytes()
    ]


def test_a_broken_transfer_names_what_is_missing_and_the_next_completes_it(
    checkout: Project, s3_server: Store, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("broken")

    def break_one(request: Request) -> str | None:
        sends = request.method == "PUT" and request.path.endswith(broken)
        return "cut request" if sends else None

    broken = object_of(checkout, "0/0010.png").removeprefix("set")
    with failing(s3_server, break_one) as proxy:
        use(checkout, proxy.store, bucket)
        commit(checkout, "a remote")
        done = push(checkout)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        start = "error: data/raw/0/0010.png did not reach DVC's remote store (s3://broken/set): "
        assert done.stderr.startswith(start), done.stderr
        assert done.stderr.endswith("; `dvc push` sends what is missing\n")
        proxy.choose = lambda request: None
        before = sum(method == "PUT" for method, _ in proxy.requests)
        done = push(checkout)
        assert (done.returncode, done.stderr) == (0, "")
        assert sum(method == "PUT" for method, _ in proxy.requests) - before <= 2
    checkout.environment.update(s3_server.environment)
    other = other_clone(checkout, tmp_path / "clone")
    assert pull(other, RAW_DVC).stderr == ""
    assert images(other) == images(checkout)


def test_a_missing_object_is_named_as_the_file_that_it_is(
    checkout: Project, s3_server: Store, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("missing")
    use(checkout, s3_server, bucket)
    commit(checkout, "a remote")
    assert push(checkout).returncode == 0
    key = object_of(checkout, "0/0010.png")
    s3_server.delete(bucket, key)
    other = other_clone(checkout, tmp_path / "clone")
    done = pull(other, RAW_DVC)
    assert (done.returncode, done.stderr) == (
        2,
        "error: data/raw/0/0010.png did not come from DVC's remote store (s3://missing/set): "
        "The specified key does not exist; `dvc push` it where it was made, or see docs/team.md, "
        "then pull again\n",
    )
    checkout.run("dvc", "push", "-q")
    assert key not in s3_server.keys(bucket)  # DVC takes all files of a listing for sent
    copy = checkout.path(f".dvc/cache/{key.removeprefix('set/')}")
    s3_server.put(bucket, key, copy.read_bytes())  # so this is what docs/team.md says
    assert pull(other, RAW_DVC).stderr == ""


def test_two_pushes_at_once_and_a_store_that_fails_at_times(
    checkout: Project, s3_server: Store, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("twice")
    with failing(s3_server, one_in(10, seed=1)) as proxy:
        use(checkout, proxy.store, bucket)
        commit(checkout, "a remote")
        twin = Project(tmp_path / "twin")
        shutil.copytree(checkout.root, twin.root, symlinks=True)
        twin.environment.update(checkout.environment, PYTHONPATH=str(twin.root))
        command = ["dvc", "push", "-q"]
        both = [
            subprocess.Popen(command, cwd=each.root, env=each.environment)
            for each in (checkout, twin)
        ]
        assert all(process.wait() in (0, 1, 255) for process in both)
        for project in (checkout, twin):  # what one of them may have been refused arrives now
            assert push(project).returncode == 0
        assert proxy.faults
        other = other_clone(checkout, tmp_path / "clone")
        assert 0 in (pull(other, RAW_DVC).returncode, pull(other, RAW_DVC).returncode)
    assert images(other) == images(checkout)


@pytest.mark.parametrize(
    ("bucket", "changed", "line"),
    [
        ("none-such", {}, "(s3://none-such/set): The specified bucket does not exist"),
        (
            "shared",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "(s3://shared/set): Unable to locate credentials",
        ),
    ],
)
def test_a_remote_that_cannot_be_used_is_one_line(
    checkout: Project, s3_server: Store, bucket: str, changed: dict[str, str], line: str
) -> None:
    use(checkout, s3_server, bucket)
    checkout.environment.update(changed)
    done = push(checkout)
    assert (done.returncode, done.stderr) == (2, f"error: DVC's remote store {line}\n")
