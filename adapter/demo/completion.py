"""The text of OpenAI-compatible completions: what a request asks, and what is answered. No network, no engine.

A token of a prompt is a word, or an entry of a token list; a generated token is the word ``w`` after a space.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from adapter.errors import BadDocument
from optimizer.simulation import EndedRequest

DEFAULT_MAX_TOKENS = 16
TOKEN = " w"


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a client asks for.

    Attributes
    ----------
    input_tokens, max_tokens
        Length of the prompt and bound of the output [tokens].
    is_streaming
        Whether tokens are wanted as they come.
    ignore_eos
        Whether it runs to its bound whatever is generated.
    """

    input_tokens: int
    max_tokens: int
    is_streaming: bool
    ignore_eos: bool


def decode_request(body: bytes, model_name: str, context_tokens: int) -> CompletionRequest:
    """Return what `body` asks of the LLM `model_name`, whose prompt and output together are `context_tokens` at most.

    Raises
    ------
    BadDocument
        Naming the field that is missing or wrong.
    """
    try:
        document = json.loads(body)
    except ValueError as cause:
        raise BadDocument(f"body must be JSON: {cause}") from cause
    if not isinstance(document, dict):
        raise BadDocument("body must be a JSON object")
    if document.get("model", model_name) != model_name:
        raise BadDocument(f"model must be {model_name!r}, got {document['model']!r}")
    if document.get("n", 1) != 1:
        raise BadDocument(f"n must be 1, got {document['n']!r}")
    input_tokens = _count_prompt_tokens(document.get("prompt"))
    max_tokens = document.get("max_tokens")
    if max_tokens is None:
        max_tokens = min(DEFAULT_MAX_TOKENS, max(context_tokens - input_tokens, 1))
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise BadDocument(f"max_tokens must be >= 1, got {max_tokens!r}")
    if input_tokens + max_tokens > context_tokens:
        total = f"{input_tokens} + {max_tokens}"
        raise BadDocument(f"prompt and max_tokens together must be <= {context_tokens} tokens, got {total}")
    return CompletionRequest(
        input_tokens, max_tokens, document.get("stream") is True, document.get("ignore_eos") is True
    )


def _count_prompt_tokens(prompt: object) -> int:
    if isinstance(prompt, str):
        tokens = len(prompt.split())
    elif isinstance(prompt, list) and not any(isinstance(entry, str | list) for entry in prompt):
        tokens = len(prompt)
    else:
        raise BadDocument("prompt must be one text or one list of tokens")
    if tokens == 0:
        raise BadDocument("prompt must have at least one token")
    return tokens


class CompletionText:
    """The answers to one request, built as bytes; the frame of a single token, by far the most frequent, only once.

    Parameters
    ----------
    completion_id
        Name of the completion.
    model_name
        The LLM.
    created
        When it was asked for [Unix s].
    """

    __slots__ = ("_head", "_parts", "_single", "_tail")

    def __init__(self, completion_id: str, model_name: str, created: int) -> None:
        self._parts = {"id": completion_id, "object": "text_completion", "created": created, "model": model_name}
        self._head, self._tail = self._frame(self._choice("\0")).split(json.dumps("\0")[1:-1].encode())
        self._single = self._head + TOKEN.encode() + self._tail

    def tokens(self, count: int) -> bytes:
        """Return the server-sent event that carries `count` tokens."""
        return self._single if count == 1 else self._head + TOKEN.encode() * count + self._tail

    def end(self, ended: EndedRequest, tokens: int) -> bytes:
        """Return the events that end the stream: the last `tokens` with the reason, the usage, and the mark."""
        last = self._frame(self._choice(TOKEN * tokens, finish_reason(ended)))
        return last + self._frame({"choices": [], **_measurements(ended)}) + b"data: [DONE]\n\n"

    def whole(self, ended: EndedRequest) -> dict[str, Any]:
        """Return the answer to a request that does not stream."""
        choice = self._choice(TOKEN * ended.generated_tokens, finish_reason(ended))
        return {**self._parts, **choice, **_measurements(ended)}

    def _frame(self, rest: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps({**self._parts, **rest}, separators=(",", ":")).encode() + b"\n\n"

    @staticmethod
    def _choice(text: str, reason: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]}


def finish_reason(ended: EndedRequest) -> str:
    """Return ``length`` when the bound was reached, else ``stop``."""
    bound = ended.request.max_tokens or ended.request.output_tokens
    return "length" if ended.generated_tokens >= bound else "stop"


def render_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def _measurements(ended: EndedRequest) -> dict[str, Any]:
    """Return the usage, and the times this request took in the engine [s]: an extension of ours."""
    input_tokens = ended.request.input_tokens
    return {
        "usage": {
            "prompt_tokens": input_tokens,
            "total_tokens": input_tokens + ended.generated_tokens,
            "completion_tokens": ended.generated_tokens,
        },
        "engine_time": {"ttft_s": ended.ttft_s, "itl_s": ended.itl_s, "ttlt_s": ended.ttlt_s},
    }
