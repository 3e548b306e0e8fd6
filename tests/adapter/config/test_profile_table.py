from __future__ import annotations

import pytest

from adapter.config.profile_table import parse_table
from adapter.errors import BadDocument

GOOD = """kind,batch,tokens,milliseconds
decode,64,2048,12.9
decode,1,128,6.4
decode,1,2048,6.5
decode,64,128,7.2
prefill,1,2048,35.1
prefill,1,128,7.0
"""


def test_rows_in_any_order_become_ascending_axes_and_seconds() -> None:
    table = parse_table(GOOD)
    assert (table.batches, table.contexts_tokens, table.prompts_tokens) == ((1, 64), (128, 2048), (128, 2048))
    assert table.decode_s == ((0.0064, 0.0065), (0.0072, 0.0129))
    assert table.prefill_s == (0.007, 0.0351)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "line 1: must be kind,batch,tokens,milliseconds"),
        ("kind,batch,ms\n", "line 1: must be kind,batch,tokens,milliseconds"),
        (GOOD + "mixed,1,128,5\n", "line 8: kind must be decode or prefill, got mixed"),
        (GOOD + "decode,1,128,5\n", "line 8: repeats decode of batch 1 with 128 tokens"),
        (GOOD + "decode,128,128,9\n", "has no decode time of batch 128 with 2048 tokens; the grid must be full"),
        (GOOD + "prefill,2,128,9\n", "has a prefill row of a batch other than 1"),
        (GOOD + "decode,1,128,fast\n", "line 8: milliseconds must be a plain number, got fast"),
        (GOOD + "decode,1,128,-1\n", "line 8: milliseconds must be > 0, got -1"),
        (GOOD + "decode,1,128\n", "line 8: milliseconds must be a plain number, got nothing"),
        (GOOD + "decode,1,128,5,6\n", "line 8: has too many columns"),
        ("kind,batch,tokens,milliseconds\ndecode,1,128,5\n", "has no rows of kind prefill"),
        ("kind,batch,tokens,milliseconds\nprefill,1,128,5\n", "has no rows of kind decode"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_why(text: str, said: str) -> None:
    with pytest.raises(BadDocument) as refusal:
        parse_table(text)
    assert str(refusal.value) == said
