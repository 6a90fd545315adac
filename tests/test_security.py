"""What docs/security.md says of the code and of secrets."""

import ast
from pathlib import Path

import pytest

from tests.conftest import Project, commit
from tests.imports import MODULES, ROOT, SYNTAX

LOADS_OBJECTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
# a worker of a cluster runs what its client sends, and no file that was found somewhere
RUNS_WHAT_IT_IS_SENT = ROOT / "tasks/workers/cluster.py"
SECRET = "correct-horse-battery"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_here_loads_pickles_or_runs_shells(path: Path) -> None:
    for node in ast.walk(SYNTAX[path]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {
                getattr(node, "module", None)
            }
            assert not names & LOADS_OBJECTS or path == RUNS_WHAT_IT_IS_SENT
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "os.system")
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            # so that torch reads tensors and plain values, and runs nothing
            assert called != "torch.load" or options.get("weights_only") == "True"
            assert not any(keyword.arg in ("allow_pickle", "shell") for keyword in node.keywords), (
                called
            )


@pytest.mark.services
@pytest.mark.slow
def test_a_remotes_password_stays_where_it_was_put(finished: Project) -> None:
    finished.run("dvc", "remote", "add", "-d", "there", "ssh://me@127.0.0.1:1/nowhere")
    finished.run("dvc", "remote", "modify", "--local", "there", "password", SECRET)
    commit(finished, "remote")
    finished.set_params(augment__variants_per_image=1)
    done = [
        finished.variegate("run", "--until", "augment", "--commit", VARIEGATE_DEBUG="1"),
        finished.variegate("diff", "HEAD~1", "HEAD"),
        finished.variegate("doctor", check=False),
        finished.run("dvc", "push", check=False),
        finished.run("git", "log", "-p", "-1"),
    ]
    assert "Dataset: the same images" in done[-1].stdout
    assert not any(SECRET in each.stdout + each.stderr for each in done)
    holders = {
        str(path.relative_to(finished.root))
        for path in finished.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    }
    assert holders == {".dvc/config.local"}
