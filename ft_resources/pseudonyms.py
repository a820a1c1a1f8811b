"""Keyed pseudonyms: the same person has the same one within a tenant, and none across tenants."""

import hashlib
import hmac

import dagster as dg


class Pseudonyms(dg.ConfigurableResource):
    key: str  # one per tenant; whoever has it can recompute pseudonyms from known ids

    def of(self, kind: str, value: str) -> str:
        """16 hex characters of HMAC-SHA256(key, kind | value)."""
        message = f"{kind}|{value}".encode()
        return hmac.new(self.key.encode(), message, hashlib.sha256).hexdigest()[:16]
