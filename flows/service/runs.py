"""Flow runs as the Prefect server knows them: overdue, abandoned, cancelled."""

from datetime import datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, State

SERVER_ERRORS = (httpx.HTTPError, PrefectException)
STARTED = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
FLOW = "variegate"
DATASET = "variegate.dataset"  # a label of the runs that have held a slot: its name


def cancel_overdue() -> None:
    """In a scheduled run: cancel the same runs that were due before it: it does their work too.

    Otherwise they would pile up while none can run. Does nothing in a run without a deployment.
    Those with other parameters stay.
    """
    if deployment.id is None:
        return
    with get_client(sync_client=True) as client:
        own = client.read_flow_run(UUID(flow_run.id)).parameters
        for run in due_runs(client, UUID(deployment.id), StateType.SCHEDULED):
            if run.parameters == own:
                client.set_flow_run_state(
                    run.id, Cancelled(message=f"run {flow_run.name} does its work")
                )


def holders(client: SyncPrefectClient, dataset: str) -> list[UUID]:
    """The runs under way, as the server believes, that hold this dataset's slot, or have held it.

    Args:
        client: of the server.
        dataset: the slot's name.
    """
    found = client.read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": [FLOW]}}),
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": STARTED}}}),
    )
    return [run.id for run in found if run.labels.get(DATASET) == dataset]


def end_abandoned(deployment_id: UUID, started: State, missed: State) -> None:
    """End the runs of a deployment that no process works on; call it only while no worker runs.

    Args:
        deployment_id: of the deployment.
        started: the new state of runs that the server believes to be under way.
        missed: the new state of runs that are overdue.
    """
    with get_client(sync_client=True) as client:
        for state, types in ((started, STARTED), (missed, (StateType.SCHEDULED,))):
            for run in due_runs(client, deployment_id, *types):
                client.set_flow_run_state(run.id, state)
                print(f"run {run.name}: {state.message}", flush=True)
        # a server that was killed forgets which run holds the slot, but not that it is taken
        limit = client.read_deployment(deployment_id).global_concurrency_limit
        if limit is not None and limit.active_slots:
            client.update_global_concurrency_limit(
                limit.name, GlobalConcurrencyLimitUpdate(active_slots=0)
            )


def due_runs(client: SyncPrefectClient, deployment_id: UUID, *types: StateType) -> list[FlowRun]:
    """The runs of a deployment in states of these types whose time has come."""
    now = datetime.now().astimezone()
    chosen = {"state": {"type": {"any_": types}}, "expected_start_time": {"before_": now}}
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(chosen),
        deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [deployment_id]}}),
    )


def cancelled(client: SyncPrefectClient, run_id: UUID) -> bool:
    """Whether somebody cancelled the run; False where the server does not answer."""
    try:
        state = client.read_flow_run(run_id).state
    except SERVER_ERRORS:
        return False
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
