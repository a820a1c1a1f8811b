"""How assets reach the gateway: its address and the keys of its administrator."""

import dagster as dg

from ft_resources.gateway.client import GatewayClient


class GatewayAccess(dg.ConfigurableResource):
    url: str
    admin_key: str
    signing_key: str

    def client(self) -> GatewayClient:
        return GatewayClient(self.url, self.admin_key, self.signing_key.encode())
