"""What the requests of a mix ask of one replica: work, context, lengths. It knows no rate and no target.

Per request, with i input tokens of which a share h is cached, and o output tokens (the first comes from the prefill):

    o - 1                      decode iterations
    G = (o-1)*i + o*(o-1)/2    context tokens read over its life (lengths independent of each other)
    W = work of computing (1-h)*i prompt tokens

Source: derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.domain import Workload
from optimizer.errors import InvalidInput
from optimizer.performance import IterationTime
from optimizer.queueing.lengths import FloatArray, LengthGrid, make_length_grid

_NO_DECODE = 1e-3  # decode iterations of a request that has none: keeps ratios finite, weighs nothing


@dataclass(frozen=True, slots=True, eq=False)
class RequestMix:
    """A mix of requests on one replica.

    Attributes
    ----------
    outputs
        Output lengths.
    prompts_tokens, weights
        Prompt tokens to compute, Q points with their shares.
    work_s
        Time each of them adds to iterations [s].
    mean_work_s, mean_square_work_s2, mean_work_prompt_s_tokens
        E of that, of its square, of its product with the prompt tokens.
    decode_iterations
        E[o-1], > 0.
    context_tokens
        Mean context of a decoding request, over its life: E[G] / E[o-1].
    context_square_ratio
        E[context^2] / E[context]^2, >= 1.
    held_tokens
        KV cache of a request at its end: E[i+o].
    prompt_tokens, prompt_square_tokens2
        E of what is computed, and of its square.
    """

    outputs: LengthGrid
    prompts_tokens: FloatArray
    weights: FloatArray
    work_s: FloatArray
    mean_work_s: float
    mean_square_work_s2: float
    mean_work_prompt_s_tokens: float
    decode_iterations: float
    context_tokens: float
    context_square_ratio: float
    held_tokens: float
    prompt_tokens: float
    prompt_square_tokens2: float


def make_mix(workload: Workload, iteration: IterationTime) -> RequestMix:
    """Return the mix of `workload` on a replica whose iterations take `iteration`.

    Raises
    ------
    InvalidInput
        When a mean length is not positive, or the cached share is outside [0, 1].
    """
    if not 0.0 <= workload.cached_ratio <= 1.0:
        raise InvalidInput("workload.cached_ratio", "in [0, 1]", workload.cached_ratio)
    inputs = make_length_grid(workload.input_lengths, at_least_tokens=1.0)
    outputs = make_length_grid(workload.output_lengths, at_least_tokens=1.0)
    prompts = np.maximum(inputs.points_tokens * (1.0 - workload.cached_ratio), 1.0)
    work_s = np.array([iteration.compute_prefill_work_s(float(tokens)) for tokens in prompts])
    i, o = inputs.mean_tokens, outputs.mean_tokens
    decode_iterations = max(o - 1.0, _NO_DECODE)
    context = i + max(outputs.mean_square_tokens2 - o, 0.0) / (2.0 * decode_iterations) if o > 1.0 else i
    input_variance = max(inputs.mean_square_tokens2 - i * i, 0.0)
    return RequestMix(
        outputs=outputs,
        prompts_tokens=prompts,
        weights=inputs.weights,
        work_s=work_s,
        mean_work_s=float(inputs.weights @ work_s),
        mean_square_work_s2=float(inputs.weights @ (work_s * work_s)),
        mean_work_prompt_s_tokens=float(inputs.weights @ (work_s * prompts)),
        decode_iterations=decode_iterations,
        context_tokens=context,
        context_square_ratio=1.0 + input_variance / (context * context),
        held_tokens=i + o,
        prompt_tokens=float(inputs.weights @ prompts),
        prompt_square_tokens2=float(inputs.weights @ (prompts * prompts)),
    )
