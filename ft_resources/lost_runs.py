"""End the runs whose workers died with their stack: `python -m ft_resources.lost_runs`.

The default run launcher cannot ask a worker whether it lives, so a run whose whole stack was
killed stays STARTED, blocks its domain and holds its place in the queue until run monitoring's
`max_runtime_seconds`. `ft up` calls this before it starts anything, when no worker of this instance
can be alive. A launcher that can ask (Kubernetes) is left to ask.
"""

import dagster as dg

STARTED = [
    *(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED),
    dg.DagsterRunStatus.CANCELING,
]


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report them as failed, so that they are tried again as lost workers are; return their ids."""
    if instance.run_launcher.supports_check_run_worker_health:
        return []
    lost = instance.get_runs(dg.RunsFilter(statuses=STARTED))
    for run in lost:
        instance.report_run_failed(run, "its worker died with the stack")
    return [run.run_id for run in lost]


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        for run_id in end_lost_runs(instance):
            print(f"run {run_id}: its worker died with the stack")
