"""The command `profile`: memory, latency and board fit of a student."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from crydistill.device.latency import Range
    from crydistill.device.profile import Profile

app = typer.Typer()


@app.command()
def profile(
    model: Annotated[
        Path | None,
        typer.Argument(help="Run directory or .tflite; default: the packaged student."),
    ] = None,
    firmware: Annotated[
        Path | None,
        typer.Option(help="The project's firmware/ folder, to count instructions under emulation."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Estimate a student's memory and latency on microcontrollers, and which boards it fits."""
    from crydistill.device.profile import profile_student
    from crydistill.student.packaged import packaged_student

    found = profile_student(model or packaged_student(), firmware=firmware)
    if json:
        print(found.to_json(), end="")
    else:
        _show(found)


def _show(found: "Profile") -> None:
    from rich.console import Console
    from rich.markup import escape

    ops = ", ".join(f"{count} {name}" for name, count in found.ops.items())
    lines = [
        f"[bold]{escape(found.name)}[/bold]: {found.size_bytes:,} bytes, {found.macs:,} "
        f"multiply-accumulates per window, {found.outputs} outputs ({found.activation}); {ops}",
        _layer_table(found),
        *(f"Known fault: {escape(line)}" for line in found.kernel_faults),
        _memory_table(found),
        *_linked(found),
        _time_table(found),
        *(f"  - {line}" for line in found.latency.assumptions_library),
        *(f"  - ESP-NN: {line}" for line in found.latency.assumptions_esp_nn),
        _board_table(found),
        *(f"{fit.board}: {'; '.join(fit.reasons)}" for fit in found.boards),
    ]
    console = Console()
    for line in lines:
        console.print(line, highlight=False)


def _layer_table(found: "Profile") -> "Table":
    table = _table("Layers", "", "MACs", "weights", "reads", "writes", "scratch", "ESP-NN")
    table.caption = (
        "bytes; scratch: requested by ESP-NN, by its formulas, not measured; ESP-NN: whether the "
        "layer is on one of its vector paths"
    )
    for layer in found.layers:
        sizes = (
            layer.macs,
            layer.weight_bytes,
            layer.input_bytes,
            layer.output_bytes,
            layer.esp_nn_scratch_bytes,
        )
        shape = "x".join(map(str, layer.output_shape[1:]))
        path = "fast" if layer.esp_nn_fast else "slow"
        table.add_row(f"{_short(layer.operator)} {shape}", *(f"{size:,}" for size in sizes), path)
    return table


def _memory_table(found: "Profile") -> "Table":
    memory = found.memory
    measured = f"measured, {memory.tflite_micro_version}, {memory.host_bits}-bit host"
    remembered = ("  of which remembered between windows", memory.remembered, "exact")
    rows = (
        ("C library", memory.library, memory.library_problem or "exact"),
        *((remembered,) if memory.remembered else ()),
        ("TFLite Micro, reference kernels", memory.tflite_micro, measured),
        ("  of which intermediate tensors", memory.planned, "exact"),
        ("TFLite Micro with ESP-NN, at most", memory.esp_nn, f"formulas of {memory.esp_nn_source}"),
    )
    table = _table("Working memory", "", "bytes", "source")
    for name, size, source in rows:
        missing = "not measured: tflite-micro is not installed"
        known = size is not None or source == memory.library_problem
        table.add_row(name, "-" if size is None else f"{size:,}", source if known else missing)
    return table


def _linked(found: "Profile") -> list[str]:
    if found.emulated is None:
        return []
    flash, ram = found.emulated.flash_bytes, found.emulated.ram_bytes
    return [
        f"Linked for a Cortex-M4 with the counting program and libc: {flash:,} bytes of flash, "
        f"{ram:,} of RAM"
    ]


def _time_table(found: "Profile") -> "Table":
    latency, counts = found.latency, found.latency.instructions
    how = (
        "counted for this student"
        if counts.measured
        else "estimated from the packaged student's layers"
    )
    published = "{:.0f} to {:.0f} ms".format(*latency.published_front_end_ms)
    plain, fastest = latency.front_end_share
    title = f"Time per window on an ESP32-S3 at {latency.clock_hz / 1e6:.0f} MHz (model)"
    table = _table(title, "", "instructions", "ms", "")
    table.caption = (
        f"The front end takes {plain:.0%} of the C library's instructions ({how}), and up to "
        f"{fastest:.0%} of the time with the fastest network. The deadline is 480 ms per window."
    )
    table.add_row(
        "front end (C library)",
        f"{counts.front_end:,.0f}",
        _span(latency.front_end),
        f"others: {published}",
    )
    table.add_row(
        "network, score, vote (C library)",
        f"{counts.window - counts.front_end:,.0f}",
        _span(latency.network),
    )
    table.add_row("network (TFLite Micro, plain C)", "", _span(latency.plain))
    table.add_row("network (TFLite Micro, ESP-NN)", "", _span(latency.esp_nn))
    return table


def _board_table(found: "Profile") -> "Table":
    title = "Boards, with the C library"
    table = _table(title, "", "verdict", "ms", "load", "RAM left", "flash left")
    table.caption = "ms: per window (model); load: fraction of one core; left: KB"
    for fit in found.boards:
        table.add_row(
            fit.board,
            fit.verdict,
            _span(fit.window_ms),
            f"{fit.load.low:.0%}-{fit.load.high:.0%}",
            f"{fit.ram_left_bytes / 1024:,.0f}",
            f"{fit.flash_left_bytes / 1024:,.0f}",
        )
    return table


def _table(title: str, *columns: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    for name in columns:
        words = name in ("", "verdict", "source", "ESP-NN")
        table.add_column(name, justify="left" if words else "right", no_wrap=name != "source")
    return table


def _short(operator: str) -> str:
    return operator.removesuffix("_2D").removesuffix("_CONV").replace("_", " ").lower()


def _span(span: "Range") -> str:
    low, high = f"{span.low:,.0f}", f"{span.high:,.0f}"
    return low if low == high else f"{low}-{high}"
