"""Let `deployed_model` say what the gateway decided, once it has; the gateway asks nobody.

Also delivers what could not be: an alias of MLflow that is behind is set again later.
"""

import time

import dagster as dg

from ft_assets.deployment.assets import BEHIND
from ft_assets.deployment.rollout_view import outcome_of
from ft_assets.partitions import domains
from ft_assets.publishing import facts_of, newest
from ft_assets.settings import platform
from ft_resources.gateway_access import GatewayAccess

DEPLOYED = dg.AssetKey("deployed_model")
COMPARED = dg.AssetKey("comparison_report")
MIRRORED = (DEPLOYED, dg.AssetKey("evidence_pack"))
RETRY_SECONDS = 600


@dg.sensor(
    name="follow_rollouts",
    description="What rollouts of the gateway decided, told to Dagster and MLflow once.",
    target=[*MIRRORED, COMPARED],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def follow_rollouts(
    context: dg.SensorEvaluationContext, gateway: GatewayAccess
) -> dg.SensorResult | dg.SkipReason:
    """One run per decision of a rollout, one per comparison that has ended; while aliases are
    behind one every ten minutes.
    """
    client, requests, told = gateway.client(), [], []
    for domain in domains.get_partition_keys():
        deployed = facts_of(newest(context.instance, DEPLOYED, domain))
        if deployed.get(BEHIND):
            requests.append(
                _request(domain, f"aliases-{domain}-{int(time.time() // RETRY_SECONDS)}")
            )
            continue
        try:
            rollout = client.rollout(domain)
        except LookupError:
            told.append(f"{domain}: no rollout")
            continue
        except ConnectionError as error:
            return dg.SkipReason(f"the gateway does not answer: {error}")
        outcome = outcome_of(rollout)
        if rollout["state"] == "ended":
            requests.append(_request(domain, rollout["rollout"], COMPARED))
        elif outcome is None or rollout["sort"] != "rollout":
            told.append(f"{domain}: {rollout['state']}")
        elif deployed.get("outcome") == outcome:
            told.append(f"{domain}: {outcome} is known")
        else:
            requests.append(_request(domain, outcome))
    if not requests:
        return dg.SkipReason("; ".join(told))
    return dg.SensorResult(run_requests=requests)


def _request(domain: str, key: str, *assets: dg.AssetKey) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=key,
        partition_key=domain,
        asset_selection=[*(assets or MIRRORED)],
        tags={"ft/trigger": "rollout", "ft/domain": domain},
    )
