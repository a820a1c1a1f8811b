import dagster as dg
import pytest

from ft_assets.deployment.assets import BEHIND
from ft_resources.gateway_access import GatewayAccess
from ft_sensors.canary import DEPLOYED, follow_rollouts


class Told(GatewayAccess):
    """A gateway whose rollouts are written down here."""

    rollouts: dict

    def client(self):
        return self

    def rollout(self, domain):
        if domain not in self.rollouts:
            raise LookupError(domain)
        return {"rollout": f"{domain}-1", "sort": "rollout", **self.rollouts[domain]}


class Away(GatewayAccess):
    def client(self):
        return self

    def rollout(self, domain):
        raise ConnectionError("nobody there")


def tick(gateway=None, deployed=(), **rollouts):
    access = {"url": "", "admin_key": "", "signing_key": ""}
    gateway = gateway or Told(**access, rollouts=rollouts)
    with dg.DagsterInstance.ephemeral() as instance:
        for domain, facts in deployed:
            event = dg.AssetMaterialization(DEPLOYED, partition=domain, metadata=facts)
            instance.report_runless_asset_event(event)
        return follow_rollouts(dg.build_sensor_context(instance=instance), gateway=gateway)


@pytest.mark.parametrize("state", ["shadow", "waiting", "canary", "held"])
def test_while_it_is_open_nothing_is_asked_for(state):
    skipped = tick(legal={"state": state})
    assert isinstance(skipped, dg.SkipReason)
    assert f"legal: {state}" in str(skipped.skip_message)


def test_each_decision_is_mirrored_once():
    first, again = tick(legal={"state": "holdback"}), tick(legal={"state": "champion"})
    assert [r.partition_key for r in first.run_requests] == ["legal"]
    assert first.run_requests[0].run_key == again.run_requests[0].run_key
    known = [("legal", {"outcome": "legal-1-promoted"})]
    assert isinstance(tick(deployed=known, legal={"state": "champion"}), dg.SkipReason)
    back = tick(deployed=known, legal={"state": "rolled_back"})
    assert back.run_requests[0].run_key == "legal-1-rolled_back"


def test_a_comparison_deploys_nothing_and_is_reported():
    running = {"state": "canary", "sort": "comparison"}
    assert isinstance(tick(legal=running), dg.SkipReason)
    result = tick(legal={**running, "state": "ended"})
    [request] = result.run_requests
    assert request.asset_selection == [dg.AssetKey("comparison_report")]


def test_aliases_that_were_not_taken_are_set_again():
    result = tick(deployed=[("finance", {BEHIND: True})])
    assert [r.partition_key for r in result.run_requests] == ["finance"]
    assert result.run_requests[0].run_key.startswith("aliases-finance-")


def test_a_gateway_that_is_away_is_told():
    skipped = tick(Away(url="", admin_key="", signing_key=""))
    assert "does not answer" in str(skipped.skip_message)
