"""Flow runs as the Prefect server knows them: due, abandoned, cancelled."""

from datetime import datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, State

SERVER_ERRORS = (httpx.HTTPError, PrefectException)
STARTED = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


def skip_missed() -> None:
    """In a scheduled run: it does the work of all that were due before it, so that they do not pile up."""
    if deployment.id is None:
        return
    with get_client(sync_client=True) as client:
        for run in due(client, UUID(deployment.id), StateType.SCHEDULED):
            client.set_flow_run_state(
                run.id, Cancelled(message=f"run {flow_run.name} does its work")
            )


def sweep(deployment_id: UUID, started: State, missed: State) -> None:
    """Where nothing works for a deployment: give those states to runs that say otherwise, and to overdue ones."""
    with get_client(sync_client=True) as client:
        for state, types in ((started, STARTED), (missed, (StateType.SCHEDULED,))):
            for run in due(client, deployment_id, *types):
                client.set_flow_run_state(run.id, state)
                print(f"run {run.name}: {state.message}", flush=True)
        # a server that was killed has forgotten who held the slot, not that it is held
        limit = client.read_deployment(deployment_id).global_concurrency_limit
        if limit is not None and limit.active_slots:
            client.update_global_concurrency_limit(
                limit.name, GlobalConcurrencyLimitUpdate(active_slots=0)
            )


def due(client: SyncPrefectClient, deployment_id: UUID, *types: StateType) -> list[FlowRun]:
    """The runs of a deployment in such states whose time has come."""
    now = datetime.now().astimezone()
    chosen = {"state": {"type": {"any_": types}}, "expected_start_time": {"before_": now}}
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(chosen),
        deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [deployment_id]}}),
    )


def cancelled(client: SyncPrefectClient, run_id: UUID) -> bool:
    """Whether somebody cancelled the run. A server that does not answer says nothing."""
    try:
        state = client.read_flow_run(run_id).state
    except SERVER_ERRORS:
        return False
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
