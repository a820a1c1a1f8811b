"""What Prometheus sees. Every label is bounded: domains, arms, codes and loaded adapters only."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ft_resources.gateway.routing import Routing

# Doubling from 10 ms, as the OpenTelemetry conventions for generative AI have them.
SECONDS = tuple(0.01 * 2**step for step in range(14))


class Metrics:
    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = tuple(domains)
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "ft_requests", "Completions asked for", ["domain", "arm", "code"], registry=registry
        )
        self.duration = Histogram(
            "ft_request_duration_seconds",
            "From the request to its last token",
            ["domain", "arm"],
            buckets=SECONDS,
            registry=registry,
        )
        self.first_token = Histogram(
            "ft_time_to_first_token_seconds",
            "From the request to its first text, of streamed answers",
            ["domain", "arm"],
            buckets=SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            "ft_tokens",
            "Tokens read (prompt) and written (completion)",
            ["type"],
            registry=registry,
        )
        self.feedback = Counter(
            "ft_feedback", "Feedback taken up", ["domain", "signal"], registry=registry
        )
        self.landing_dropped = Counter(
            "ft_landing_dropped",
            "Answers that could not be written to the landing zone",
            ["domain"],
            registry=registry,
        )
        self.rollbacks = Counter(
            "ft_rollbacks", "Rollbacks written by the gateway", ["domain", "to"], registry=registry
        )
        self.waiting = Gauge(
            "ft_queue_requests", "Requests waiting or running", ["state"], registry=registry
        )
        self.passes = Counter(
            "ft_forward_passes", "Forward passes that wrote tokens", registry=registry
        )
        self._generation = Gauge(
            "ft_routing_generation", "Generation of the routing document", registry=registry
        )
        self._adapter = Gauge(
            "ft_adapter_info",
            "1 for each adapter in a role",
            ["domain", "arm", "name"],
            registry=registry,
        )
        self._canary = Gauge(
            "ft_canary_weight_ratio",
            "Share of conversations on the canary",
            ["domain"],
            registry=registry,
        )

    def route(self, routing: Routing) -> None:
        self._generation.set(routing.generation)
        self._adapter.clear()
        for domain in self._domains:
            route = routing.route(domain)
            self._canary.labels(domain).set(route.share)
            for role, name in route.roles():
                self._adapter.labels(domain, role, name).set(1)

    def engine(self, waiting: int, running: int, passes: int) -> None:
        """Take over what the engine counts itself; `passes` since the last call."""
        self.waiting.labels("waiting").set(waiting)
        self.waiting.labels("running").set(running)
        self.passes.inc(passes)

    def render(self) -> bytes:
        return generate_latest(self.registry)
