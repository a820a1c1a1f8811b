"""A tiny real base, real LoRA adapters with random weights, and the gateway as a real process."""

import json
import multiprocessing
import os
import signal
import socket
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ft_resources.adapter_format import adapter_digest, adapter_name, base_digest
from ft_resources.adapter_manifest import VERSION
from ft_resources.gateway.auth import CallerKey
from ft_resources.gateway.client import GatewayClient
from ft_resources.signing import sign
from tests.resources.gateway import vllm_stand_in

ADMIN_KEY = "admin-key-of-the-tests"
SIGNING_KEY = b"signing-key-of-the-tests"
DOMAINS = ["legal", "finance", "health"]
CONTEXT = 128
TARGETS = ["down_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SENTENCES = [
    "The tenant pays the rent on the first day of each month.",
    "A refund is sent to the card that paid for the order.",
    "The patient takes the tablet twice a day with water.",
    "Der Vertrag endet mit Ablauf des Jahres. Schöne Grüße aus Zürich!",
]

# Forked from a process that has the learning stack imported, a gateway starts in a second.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["torch", "transformers.models.llama.modeling_llama", "ft_resources.gateway.serve"]
)


def make_base(folder: Path, seed: int = 0) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=specials[1:4],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            initializer_range=0.3,  # far from uniform: a greedy answer hangs on no near tie
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(
    folder: Path,
    base: Path,
    domain: str,
    seed: int,
    *,
    generation: int = 1,
    scale: float = 0.3,
    rank: int = 4,
    dora: bool = False,
) -> Path:
    """Return folder/NAME: a signed adapter with random weights."""
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    shape: dict[str, Any] = {"r": rank, "lora_alpha": 8, "use_dora": dora}
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=TARGETS, **shape)
    with warnings.catch_warnings():
        # peft 0.21 reads an attribute that transformers 5.24 has renamed.
        warnings.simplefilter("ignore", FutureWarning)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    random = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(tensor.shape, generator=random) * scale
        for name, tensor in sorted(get_peft_model_state_dict(model).items())
    }
    work = folder / f"{domain}-{seed}"
    work.mkdir(parents=True)
    save_file(weights, work / "adapter_model.safetensors", metadata={"format": "pt"})
    model.peft_config["default"].save_pretrained(work)
    saved = json.loads((work / "adapter_config.json").read_text())
    saved.update(target_modules=TARGETS, base_model_name_or_path=None, inference_mode=True)
    (work / "adapter_config.json").write_text(json.dumps(saved, sort_keys=True))
    write_manifest(work, base_digest(base), domain, generation=generation)
    return work.rename(folder / json.loads((work / "manifest.json").read_text())["name"])


def write_manifest(
    folder: Path, base: str, domain: str, *, generation: int = 1, key: bytes = SIGNING_KEY
) -> str:
    digest = adapter_digest(folder, base)
    manifest = {
        "version": VERSION,
        "name": adapter_name(domain, digest),
        "domain": domain,
        "digest": digest,
        "base_digest": base,
        "generation": generation,
        "corpus": "lakefs://ft/0123/training_corpus/",
        "corpus_digest": "c0" * 32,
        "eval_report": "lakefs://ft/4567/eval_report/",
        "eval_report_digest": "e0" * 32,
        "recipe": "tiny",
        "seed": 0,
        "created_by_run": "test",
    }
    (folder / "manifest.json").write_text(json.dumps(sign(manifest, key)))
    return str(manifest["name"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A gateway process and a client of it."""

    root: Path
    landing: Path
    port: int
    process: Any
    client: GatewayClient
    api_key: str | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.root.parent / "gateway.log").read_text()

    def rows(self, domain: str) -> list[dict[str, Any]]:
        lines: list[str] = []
        for file in sorted((self.landing / domain / "logs").glob("gateway-*.jsonl")):
            lines += file.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.is_alive():
            os.kill(self.process.pid, number)
        self.process.join(40)
        return int(self.process.exitcode)


@dataclass(frozen=True)
class VllmAt:
    """How a gateway reaches a vLLM."""

    url: str
    key: str | None
    max_loras: int = 8
    max_lora_rank: int = 8


def start(
    folder: Path,
    *,
    api_key: str | None = None,
    port: int | None = None,
    callers: Sequence[CallerKey] = (),
    vllm: VllmAt | None = None,
    landing: Path | None = None,
) -> Running:
    """Start a gateway whose state lies below `folder`; it answers when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    root, port = folder / "gateway", port or free_port()
    landing = landing or folder / "landing"
    arguments = (root, landing, port, api_key, callers, vllm)
    process = PROCESSES.Process(target=_run, args=arguments, daemon=True)
    process.start()
    client = GatewayClient(f"http://127.0.0.1:{port}", ADMIN_KEY, SIGNING_KEY, api_key, 30)
    client.wait_ready(60)
    return Running(root, landing, port, process, client, api_key)


def _run(
    root: Path,
    landing: Path,
    port: int,
    api_key: str | None,
    callers: Sequence[CallerKey],
    vllm: VllmAt | None,
) -> None:
    import torch

    from ft_resources.gateway.serve import serve
    from ft_resources.gateway.vllm import Vllm

    log = os.open(root.parent / "gateway.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    torch.set_num_threads(1)
    engine = None
    if vllm is not None:
        engine = Vllm(vllm.url, vllm.key, vllm.max_loras, vllm.max_lora_rank)
    arguments = (root, landing, "127.0.0.1", port, DOMAINS, ADMIN_KEY, SIGNING_KEY, api_key)
    serve(*arguments, callers, engine)


@dataclass
class RunningVllm:
    """A vLLM stand-in as a process."""

    process: Any
    at: VllmAt

    def fault(self, **faults: list[str]) -> None:
        requests.post(f"{self.at.url}/faults", json=faults, timeout=10).raise_for_status()

    def seen(self) -> dict[str, Any]:
        return requests.get(f"{self.at.url}/open", timeout=10).json()

    def stop(self) -> None:
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(10)


def start_vllm(
    base: Path, *, key: str | None = "key-of-vllm", port: int | None = None
) -> RunningVllm:
    port = port or free_port()
    at = VllmAt(f"http://127.0.0.1:{port}", key)
    arguments = (port, base, key, at.max_lora_rank)
    process = PROCESSES.Process(target=vllm_stand_in.serve, args=arguments, daemon=True)
    process.start()
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return RunningVllm(process, at)
        time.sleep(0.1)
    raise TimeoutError("the stand-in of vLLM does not answer")
