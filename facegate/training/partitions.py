"""Into how many pieces XNNPACK cuts a graph: one is the speed that was paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def partitions(content: bytes | Path) -> int:
    """Count the pieces a graph runs in after XNNPACK took its parts: 1 is one whole partition.

    Every delegated part counts, and every operator left outside. The interpreter lists operators
    that a delegate replaced like any other; those that still run are found by walking back from the
    outputs, taking the delegate where it and an operator make the same tensor.
    """
    interpreter = interpreter_of(content)
    steps = interpreter._get_ops_details()
    makers: dict[int, int] = {}
    for number, step in enumerate(steps):  # delegates come last, and win
        makers.update((int(tensor), number) for tensor in step["outputs"])
    running: set[int] = set()
    wanted = [int(d["index"]) for d in interpreter.get_output_details()]
    while wanted:
        maker = makers.get(wanted.pop())
        if maker is not None and maker not in running:
            running.add(maker)
            wanted += [int(tensor) for tensor in steps[maker]["inputs"]]
    return len(running)


def interpreter_of(content: bytes | Path, every_tensor: bool = False) -> Any:
    """Open a TFLite file, or its bytes, with the default delegate.

    Args:
        content: the file.
        every_tensor: keep the values of all tensors readable. It runs without the delegate, which
            fuses layers and keeps what was between them to itself.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    in_memory = isinstance(content, bytes)
    interpreter = Interpreter(
        model_path=None if in_memory else str(content),
        model_content=content if in_memory else None,
        experimental_preserve_all_tensors=every_tensor,
        experimental_op_resolver_type=(
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            if every_tensor
            else OpResolverType.AUTO
        ),
    )
    interpreter.allocate_tensors()
    return interpreter
