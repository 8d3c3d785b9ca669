"""The peers, driven without a scheduler: run, defer, wait in one loop, come back, as a worker and a triggerer would do it.

They are `LLMBatchOperator` of apache-airflow-providers-common-ai, the batch operators of the vendors' official providers, and
pydantic-ai's batches (which need no Airflow). Each is used as its documentation says, with its defaults.
"""

import asyncio
import importlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from overnight.sandbox.server import hosts

PACKAGES = (
    "apache-airflow-providers-common-ai", "apache-airflow-providers-openai", "apache-airflow-providers-anthropic",
    "apache-airflow-providers-google", "pydantic-ai-slim",
)  # fmt: skip
MODELS = {"openai": "openai:gpt-5-nano", "anthropic": "anthropic:claude-haiku-4-5"}
POLL_S = 0.2
GEMINI = {"project_id": "p", "location": "l", "model": "gemini-2.5-flash", "gemini_api_key": "sandbox-key"}


def versions() -> dict[str, str]:
    """Which peers are measured."""
    try:
        return {name: version(name) for name in PACKAGES}
    except PackageNotFoundError as missing:
        raise SystemExit(f"{missing.name} is not installed: `make bench` installs it, beside what the night needs") from missing


def connect(base: str) -> None:
    """Connections for both sides, to the vendor or stub at `base`."""
    at = hosts(base)
    for name, host in at.items():
        _connection(f"{name}_default", name if name != "gemini" else "generic", host)
    for name in MODELS:
        _connection(f"ai_{name}", "pydanticai", at[name])
        os.environ[f"{name.upper()}_BASE_URL"] = at[name]
    _connection("google_cloud_default", "google_cloud_platform", "")
    os.environ["GOOGLE_GEMINI_BASE_URL"] = at["gemini"]
    os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = os.environ["GOOGLE_API_KEY"] = "sandbox-key"


def _connection(name: str, kind: str, host: str) -> None:
    named = {"conn_type": kind, **({"host": host, "password": "sandbox-key"} if host else {})}
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(named)


def context(task_id: str = "task", run_id: str = "run_1", try_number: int = 1) -> dict[str, Any]:
    """What a task is handed."""
    instance = SimpleNamespace(dag_id="bench", task_id=task_id, run_id=run_id, map_index=-1, try_number=try_number)
    instance.xcom_push = lambda key, value: None
    return {"ti": instance, "task_instance": instance}


def llm_batch(vendor: str, prompts: list[str], path: Path, task_id: str = "task", **more: Any) -> Any:
    """LLMBatchOperator, deferrable."""
    from airflow.providers.common.ai.operators.llm_batch import LLMBatchOperator

    return LLMBatchOperator(
        task_id=task_id, requests=prompts, result_path=f"file://{path}", llm_conn_id=f"ai_{vendor}", model_id=MODELS[vendor],
        deferrable=True, **more,
    )  # fmt: skip


def anthropic_request(custom_id: str, text: str) -> dict[str, Any]:
    """One request as AnthropicBatchOperator takes it."""
    said = [{"role": "user", "content": text}]
    return {"custom_id": custom_id, "params": {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": said}}


def openai_file(folder: Path) -> str:
    """A one-line input file, uploaded: OpenAI's operator begins after that."""
    from airflow.providers.openai.hooks.openai import OpenAIHook

    body = {"model": "gpt-5-nano", "input": "hello"}
    path = folder / "in.jsonl"
    path.write_text(json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}) + "\n")
    return str(OpenAIHook("openai_default").upload_file(str(path), purpose="batch").id)


def vendor_operator(vendor: str, file_id: str = "", *, wait: bool = False, deferrable: bool = False) -> Any:
    """The batch operator of a vendor's official provider, with one request."""
    if vendor == "openai":
        from airflow.providers.openai.operators.openai import OpenAITriggerBatchOperator

        return OpenAITriggerBatchOperator(
            task_id=vendor, file_id=file_id, endpoint="/v1/responses", deferrable=deferrable, wait_for_completion=wait
        )  # fmt: skip
    if vendor == "anthropic":
        from airflow.providers.anthropic.operators.batch import AnthropicBatchOperator

        return AnthropicBatchOperator(
            task_id=vendor, requests=[anthropic_request("a", "hello")], deferrable=deferrable, wait_for_completion=wait
        )  # fmt: skip
    from airflow.providers.google.cloud.operators.gen_ai import GenAIGeminiCreateBatchJobOperator

    said = [{"contents": [{"parts": [{"text": "hello"}], "role": "user"}]}]
    return GenAIGeminiCreateBatchJobOperator(
        task_id=vendor, input_source=said, deferrable=deferrable, wait_until_complete=wait, polling_interval=1, **GEMINI
    )


def trigger(peer: str, batch_id: str, every_s: float) -> Any:
    """The trigger that waits for one batch."""
    import time

    end = time.time() + 86_400
    if peer.startswith("llm_batch_"):
        from airflow.providers.common.ai.triggers.llm_batch import LLMBatchTrigger

        name = peer.removeprefix("llm_batch_")
        return LLMBatchTrigger(
            llm_conn_id=f"ai_{name}", adapter=name, batch_id=batch_id, poll_interval=every_s, end_time=end, cancel_on_kill=False,
            cancel_on_timeout=False,
        )  # fmt: skip
    if peer == "openai_provider":
        from airflow.providers.openai.triggers.openai import OpenAIBatchTrigger

        return OpenAIBatchTrigger(conn_id="openai_default", batch_id=batch_id, poll_interval=every_s, timeout=86_400)
    if peer == "anthropic_provider":
        from airflow.providers.anthropic.triggers.batch import AnthropicBatchTrigger

        return AnthropicBatchTrigger(conn_id="anthropic_default", batch_id=batch_id, poll_interval=every_s, end_time=end)
    from airflow.providers.google.cloud.triggers.gen_ai import GenAIGeminiCreateBatchJobTrigger

    return GenAIGeminiCreateBatchJobTrigger(
        polling_interval=int(every_s), input_source=[{"contents": [{"parts": [{"text": "hello"}]}]}],
        create_batch_job_config={"display_name": batch_id}, **GEMINI,
    )  # fmt: skip


async def first(waiting: Any) -> Any:
    """The event a trigger fires."""
    async for event in waiting.run():
        return event
    raise AssertionError("the trigger ended without an event")


def deferred(operator: Any, told: dict[str, Any]) -> Any:
    """Start an operator; returns the trigger it leaves behind."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        operator.execute(told)
    except TaskDeferred as away:
        away.trigger.poll_interval = away.trigger.polling_interval = POLL_S
        return away.trigger
    raise AssertionError(f"{operator.task_id} did not defer")


def drive(operator: Any, told: dict[str, Any]) -> Any:
    """Bring an operator to its end, with or without a wait in between."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        return operator.execute(told)
    except TaskDeferred as away:
        waiting = away.trigger
    waiting.poll_interval = waiting.polling_interval = POLL_S
    return operator.execute_complete(told, asyncio.run(first(waiting)).payload)


def pydantic_ai(vendor: str, prompts: list[str]) -> list[Any]:
    """The same prompts through pydantic-ai's batches."""
    from datetime import timedelta

    from pydantic_ai import Agent
    from pydantic_ai.capabilities import BatchModelRequests

    model = {"openai": "openai-responses:gpt-5-nano", "anthropic": MODELS["anthropic"]}[vendor]

    async def ask() -> list[Any]:
        pace = {"max_wait": timedelta(seconds=0.5), "poll_interval": timedelta(seconds=POLL_S)}
        batches: Any = BatchModelRequests(max_requests=1_000, **pace)
        agent: Any = Agent(model, capabilities=[batches])
        async with batches:
            return await asyncio.gather(*(agent.run(text) for text in prompts), return_exceptions=True)

    return asyncio.run(ask())


def die(module: str, name: str) -> None:
    """From now on the process ends, like one that is killed, where it would call `module.name`."""
    setattr(importlib.import_module(module), name, lambda *_args, **_kwargs: os._exit(9))
