"""What Prometheus sees. Every label is bounded: domains, arms, codes and loaded adapters only.

`vllm:*` are what routers in front of model servers ask for (Gateway API Inference Extension, model
server protocol): queue, running requests and which adapters are at work, by vLLM's names.
"""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from ft_resources.gateway.backend import Backend
from ft_resources.gateway.rollout.machine import STATES, Machine
from ft_resources.gateway.routing import Routing

# Doubling from 10 ms, as the OpenTelemetry conventions for generative AI have them.
LOAD_SECONDS = tuple(0.01 * 2**step for step in range(16))
SECONDS = tuple(0.01 * 2**step for step in range(14))


class Metrics:
    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = tuple(domains)
        self._passes = 0  # of the engine, told so far
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

        self.adapter_load = Histogram(
            "ft_adapter_load_seconds",
            "From an upload to an adapter that answers: gate, signature, loading",
            buckets=LOAD_SECONDS,
            registry=registry,
        )
        self._loaded = Gauge("ft_adapters_loaded", "Adapters that answer", registry=registry)
        self._up = Gauge("ft_backend_up", "1 while answers can be written", registry=registry)
        self._problems = Gauge("ft_health_problems", "Problems in /health", registry=registry)
        self._vllm_waiting = Gauge(
            "vllm:num_requests_waiting", "Requests that wait", registry=registry
        )
        self._vllm_running = Gauge(
            "vllm:num_requests_running", "Requests that are being answered", registry=registry
        )
        self._vllm_lora = Gauge(
            "vllm:lora_requests_info",
            "Adapters at work; the value is the time of this look, in seconds since 1970",
            ["max_lora", "running_lora_adapters", "waiting_lora_adapters"],
            registry=registry,
        )
        ProcessCollector(registry=registry)
        self._rollout_state = Gauge(
            "ft_canary_state",
            "1 for the state that the last rollout of a domain is in",
            ["domain", "state"],
            registry=registry,
        )
        self._log_evalue = Gauge(
            "ft_canary_log_evalue",
            "Log evidence of the last rollout, by what it speaks for",
            ["domain", "side"],
            registry=registry,
        )
        self._log_limit = Gauge(
            "ft_canary_log_limit",
            "Log evidence at which that side decides",
            ["domain", "side"],
            registry=registry,
        )
        self._reactions = Gauge(
            "ft_canary_reactions",
            "Conversations with a reaction that count in the last rollout",
            ["domain", "arm"],
            registry=registry,
        )
        self.rollouts_ended = Counter(
            "ft_rollouts_ended",
            "Rollouts by how they ended",
            ["domain", "state"],
            registry=registry,
        )
        self._ended: set[str] = set()

    def rollout(self, machine: Machine) -> None:
        domain, bounds = machine.domain, machine.plan.bounds
        for state in STATES:
            self._rollout_state.labels(domain, state).set(state == machine.state)
        limits = (bounds.log_rollback, bounds.log_promote, bounds.log_ratio)
        for side, value, limit in zip(
            ("rollback", "promote", "ratio"), machine.logs, limits, strict=True
        ):
            self._log_evalue.labels(domain, side).set(value)
            self._log_limit.labels(domain, side).set(limit)
        for arm, count in zip(("control", "canary"), machine.evidence.reactions, strict=True):
            self._reactions.labels(domain, arm).set(count)
        if machine.over and machine.rollout not in self._ended:
            self._ended.add(machine.rollout)
            self.rollouts_ended.labels(domain, machine.state).inc()

    def route(self, routing: Routing) -> None:
        self._generation.set(routing.generation)
        self._adapter.clear()
        for domain in self._domains:
            route = routing.route(domain)
            self._canary.labels(domain).set(route.share)
            for role, name in route.roles():
                self._adapter.labels(domain, role, name).set(1)

    def engine(self, engine: Backend, problems: int) -> None:
        """Take over what the engine counts itself."""
        waiting, running = engine.load()
        self.waiting.labels("waiting").set(waiting)
        self.waiting.labels("running").set(running)
        self._vllm_waiting.set(waiting)
        self._vllm_running.set(running)
        self._loaded.set(len(engine.adapters()))
        self._up.set(engine.problem is None)
        self._problems.set(problems)
        passes, self._passes = engine.passes - self._passes, engine.passes
        self.passes.inc(passes)
        self._vllm_lora.clear()
        names = [",".join(sorted(at_work)) for at_work in engine.adapters_at_work()]
        self._vllm_lora.labels(engine.max_adapters, *names).set_to_current_time()

    def render(self) -> bytes:
        return generate_latest(self.registry)
