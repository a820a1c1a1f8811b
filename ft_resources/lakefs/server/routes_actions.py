"""What the hooks of a repository did: runs, their hooks, and each one's output."""

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import runs
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.commits import NS
from ft_resources.lakefs.server.paging import amount, page_of
from ft_resources.lakefs.server.routes_repositories import REPOSITORY


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / NS, UTC).isoformat()


def view(run: runs.Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "branch": run.branch,
        "event_type": run.event,
        "commit_id": run.commit_id,
        **_outcome(run),
    }


def hook_view(run: runs.HookRun) -> dict[str, Any]:
    return {"hook_run_id": run.id, "action": run.action, "hook_id": run.hook, **_outcome(run)}


def _outcome(run: runs.Run | runs.HookRun) -> dict[str, str]:
    return {
        "start_time": _time(run.started_ns),
        "end_time": _time(run.ended_ns),
        "status": "completed" if run.passed else "failed",
    }


def list_runs(call: Call) -> Response:
    limit = amount(call)
    with call.repository.read() as session:
        found = runs.page(
            session, call.query("branch"), call.query("commit"), call.query("after"), limit + 1
        )
    return page_of([view(run) for run in found], limit, "run_id")


def get_run(call: Call) -> Response:
    with call.repository.read() as session:
        return JSONResponse(view(runs.find(session, call.path("run"))))


def list_hooks(call: Call) -> Response:
    limit = amount(call)
    with call.repository.read() as session:
        found = runs.hooks(session, call.path("run"), call.query("after"), limit + 1)
    return page_of([hook_view(run) for run in found], limit, "hook_run_id")


def get_output(call: Call) -> Response:
    with call.repository.read() as session:
        text = runs.output(session, call.path("run"), call.path("hook"))
    # What a webhook answered: never to be taken for a page of this server.
    return PlainTextResponse(text, headers={"X-Content-Type-Options": "nosniff"})


RUN = f"{REPOSITORY}/actions/runs/{{run}}"
ROUTES = [
    Route(f"{REPOSITORY}/actions/runs", route(list_runs)),
    Route(RUN, route(get_run)),
    Route(f"{RUN}/hooks", route(list_hooks)),
    Route(f"{RUN}/hooks/{{hook}}/output", route(get_output)),
]
