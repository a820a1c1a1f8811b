"""An A/B test of two adapters of a domain, as it stands: `ft canary compare` begins one."""

import dagster as dg

from ft_assets.deployment.assets import evidence_facts, publish
from ft_assets.partitions import domains
from ft_assets.publishing import materialized
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS


@dg.asset(
    partitions_def=domains,
    group_name="deployment",
    kinds={"lakefs"},
    code_version="1",
)
def comparison_report(
    context: dg.AssetExecutionContext, lakefs: LakeFS, gateway: GatewayAccess
) -> dg.MaterializeResult:
    """The newest A/B test of the domain: both arms, the evidence, and which one people prefer."""
    domain = context.partition_key
    try:
        found = gateway.client().rollout(domain)
    except LookupError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    if found["sort"] != "comparison":
        raise dg.Failure(
            f"the last rollout of {domain} was no comparison; begin one with `ft canary compare`",
            allow_retries=False,
        )
    ref = publish(context, lakefs, {}, {"comparison.json": found})
    facts = {
        "first": found["candidate"],
        "second": found["control"],
        "result": found["reason"] if found["over"] else "open",
        **evidence_facts(found),
        "outcome": found["rollout"],
    }
    return materialized(context, lakefs, {domain: ref}, {domain: facts})
