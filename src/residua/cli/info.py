"""`residua info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.options import Bits, FollowLinks, Groups, Json, Memory, Normal, Root, names

if TYPE_CHECKING:
    from rich.console import Console

_MOST_FILES = 50


def info(
    what: Annotated[str, typer.Argument(metavar="RUN|SOURCE", help="A run, or images.")],
    normal: Normal = None,
    groups: Groups = None,
    bits: Bits = None,
    follow_links: FollowLinks = False,
    root: Root = None,
    json: Json = None,
    memory: Memory = 2048,
) -> None:
    """Describe a RUN or a SOURCE. For a SOURCE, the list shows which images can be read, how they
    are divided, and which files are quarantined and why.

    residua info parts/

    residua info runs/parts --json -
    """
    from residua._text import terminal
    from residua.cli.output import emit_json, is_stdout

    console = terminal()
    run = Path(what)
    told: dict[str, Any] = {"normal": names(normal), "groups": groups, "bits": bits}
    told |= {"follow_links": follow_links, "root": root}
    if (run / "run.json").exists() or (run / "wrapped.json").exists():
        from residua.runs.judgement import describe_stored
        from residua.runs.open_run import open_run

        _refuse(what, told)
        opened = open_run(run)
        value = opened.summary()
        if value.get("finished", True):
            value["evaluation"] = describe_stored(opened)
        show = _print_wrapped if "contract" in value else _print_run
    else:
        from residua.images import load_images

        value = load_images(what, memory_megabytes=memory, **told).summary()
        show = _print_source
    emit_json(value, json)
    if not is_stdout(json):
        show(value, console)


def _refuse(run: str, told: dict[str, Any]) -> None:
    """Refuse what describes images: a run knows its own."""
    from residua.errors import InputError

    for name, value in told.items():
        if value is not None and value is not False:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"info: {option} describes images. Got {option} with the run {run}. Leave it out,"
                " or name a SOURCE."
            )


def _print_wrapped(value: dict[str, Any], console: Console) -> None:
    from residua.runs.wrapped.scales import Scale

    contract = value["contract"]
    height, width = contract["size"]
    console.print(
        f"{value['run']}: a wrapped {contract['origin']} model, judged on {value['source']}"
    )
    scales = ", ".join(
        f"{name} {Scale.model_validate(contract[name]).words}" for name in ("inputs", "outputs")
    )
    console.print(
        f"  {height}x{width}, {contract['channels']} channels, {contract['layout']}, {scales}"
    )
    _print_code(contract, console)
    if value["random"]:
        console.print("  random: the same image gets another score each time")
    for one in value["assumptions"]:
        console.print(
            f"  assumed: {one['about']}: {one['taken']} ({one['because']}; to state it:"
            f" {one['to_tell']})"
        )
    if value["operating_point"]:
        _print_point(value["operating_point"], console)
    _print_evaluation(value, console)


def _print_code(contract: dict[str, Any], console: Console) -> None:
    """How much a wrapped model compresses, where its code is known."""
    from residua.evaluation.compression import UNKNOWN
    from residua.metrics.compression import code_words

    values = contract["size"][0] * contract["size"][1] * contract["channels"]
    code = contract["latent"]
    said = f"not measured, because {UNKNOWN}." if code is None else code_words(values, code)
    console.print(f"  compression: {said}")


def _print_source(value: dict[str, Any], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from residua._text import count, few, of_groups

    console.print(
        Text(f"{count(value['n_images'], 'image')}{of_groups(value['n_groups'] or None)}", "bold"),
        f"in {value['source']} ({value['kind']})",
    )
    colour = "grey" if value["channels"] == 1 else "colour"
    shown = [
        ("parts", _part_words(value)),
        ("channels", f"{value['channels']} ({colour}), {value['dtype']}"),
        ("sizes", _size_words(value["sizes"])),
        ("formats", ", ".join(f"{name} {n:,}" for name, n in value["formats"].items())),
        ("normal", ", ".join(value["normal"]) if value["normal"] else "not named"),
        ("masks", f"{value['n_with_mask']:,} images"),
        ("groups", _group_words(value)),
    ]
    table = Table.grid(padding=(0, 2))
    for name, text in shown:
        if text:
            table.add_row(Text(name, style="dim"), Text(text))
    console.print(table)
    for part, labels in value["labels"].items():
        if labels:
            counted = few((f"{label} {n:,}" for label, n in labels.items()), 20)
            console.print(f"  labels in {part}: {counted}")
    _print_told(value, console)
    quarantined = value["quarantined"]
    if quarantined:
        console.print(
            Text(f"{count(len(quarantined), 'file')} quarantined", "bold"),
            ": kept out of every number",
            sep="",
        )
        for one in quarantined[:_MOST_FILES]:
            console.print(f"  {one['path']}: {one['reason']}")
        if len(quarantined) > _MOST_FILES:
            console.print(f"  and {len(quarantined) - _MOST_FILES:,} more (--json lists all)")


def _print_run(value: dict[str, Any], console: Console) -> None:
    from residua._text import count

    options = value["options"]
    kind = "strategy" if options["job"] == "classify" else "recipe"
    console.print(
        f"{value['run']}: {options['job']} on {options['source'] or 'images from Python'},"
        f" {kind} {options[kind]}"
    )
    if not value["finished"]:
        console.print("  not finished: repeat the fit command with --resume")
        return
    bundle = value["bundle"]
    training = bundle["training"]
    epochs = count(training["epochs"], "epoch")
    length = f"{epochs} (best: {training['best_epoch']})" if training["epochs"] else "computed"
    console.print(
        f"  {training['network']}, {training['parameters']:,} parameters\n"
        f"  {training['images']:,} images, {length}, {training['seconds']:.0f} s in"
        f" {training['precision']} on {training['device']}"
    )
    if bundle["operating_point"]:
        _print_point(bundle["operating_point"], console)
    _print_evaluation(value, console)
    _print_told(value, console)


def _print_told(value: dict[str, Any], console: Console) -> None:
    from residua.records import Assumption

    for one in value["assumptions"]:
        console.print(f"  assumed {Assumption.model_validate(one).sentence}")
    for note in value["notes"]:
        console.print(f"  note: {note}")


def _print_point(point: dict[str, Any], console: Console) -> None:
    console.print(f"  threshold {point['threshold']:.6g} ({point['policy']}). {point['how']}")


def _print_evaluation(value: dict[str, Any], console: Console) -> None:
    """When the run was last evaluated, on what, and whether that still holds."""
    from residua._text import count

    told = value["evaluation"]
    if told is None:
        text = f"not evaluated: residua evaluate {value['run']}"
    else:
        date = "" if told["date"] is None else f" on {told['date']}"
        images = count(told["n_images"], "image")
        text = f"evaluated{date}: {told['judged_on'] or told['part']}, {images}. "
        before = "none" if told["threshold"] is None else f"{told['threshold']:.6g}"
        again = f"residua evaluate {value['run']}"
        text += {
            "fits": "It fits the model"
            + ("." if told["threshold"] is None else " and the threshold."),
            "another threshold": (
                f"Its threshold is {before}, not the one above: reports judge it again from its"
                f" scores, and {again} stores it."
            ),
            "another model": f"It is one of another model. Run {again}",
            "another engine": (
                f"It is one of the engine {told['engine']}, which is gone or has another threshold."
                f" Run {again} --engine {told['engine']}"
            ),
        }[told["fit"]]
    console.print(f"  {text}")


def _part_words(value: dict[str, Any]) -> str:
    """``train 808 of 190 groups, test 268``: images, and groups where there are any."""
    from residua._text import of_groups

    groups = value["groups_in_parts"] or {}
    return ", ".join(
        f"{part} {n:,}{of_groups(groups.get(part) or None)}" for part, n in value["splits"].items()
    )


def _group_words(value: dict[str, Any]) -> str:
    from residua.images.groups import Grouping

    grouping = value["grouping"]
    return "" if grouping is None else f"by {Grouping.model_validate(grouping).words}"


def _size_words(sizes: dict[str, Any]) -> str:
    """Height x width: one size, or the smallest, the median and the largest."""
    low, middle, high = (
        f"{sizes[name]['height']}x{sizes[name]['width']}" for name in ("min", "median", "max")
    )
    return (
        low
        if sizes["n_different"] == 1
        else f"{low} to {high}, median {middle}, {sizes['n_different']} different (height x width)"
    )
