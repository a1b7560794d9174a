"""Every published method with the same small budget: what it finds, in what time, with what memory.

    python -m benchmarks.methods --data data.root=/path/to/images --seeds 0 1 2 --jobs 2

Each search is a process of its own with ``--threads`` threads. The table is written as Markdown; runs that are already
there are not repeated, so an interrupted comparison goes on where it was.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from benchmarks.searches import HEADER, REDUCED, arguments, by_table, controls, row, run

METHODS = (
    "darts_v1", "darts_v2", "gdas", "snas", "drnas", "drnas_progressive", "milenas", "milenas_second", "milenas_gdas",
    "idarts", "pc_darts", "pdarts", "fair_darts", "sdarts_rs", "sdarts_adv", "robust_darts", "spos",
)  # fmt: skip
UNTRAINED = ("naswot", "knas", "az_nas", "zero_pt", "te_nas", "free_darts")  # without a supernet that is trained
# What a paper gives in epochs, at the scale of a search of a tenth of its length.
SCALED = {
    "drnas_progressive": ("warmup_epochs=1",),
    "pc_darts": ("warmup_epochs=3",),
    "pdarts": (
        "warmup_epochs=1",
        "callbacks.stages.stages=[{at: 0.34, keep: 4, space: {cells_per_stage: 1}, skip_dropout: 0.4},"
        "{at: 0.67, keep: 3, space: {cells_per_stage: 1}, skip_dropout: 0.7}]",
    ),
    "knas": ("selection.keep=10", "selection.epochs=2"),
    "spos": ("selection.population=20", "selection.generations=5"),
}


def main() -> None:
    parser = arguments(__doc__, "logs/methods", seeds=(0, 1, 2))
    parser.add_argument("--methods", nargs="*", default=(*METHODS, *UNTRAINED))
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    def search(method: str, seed: int) -> None:
        epochs = 0 if method in UNTRAINED else args.epochs
        settings = (f"experiment={method}", *REDUCED, f"epochs={epochs}", *args.data, *SCALED.get(method, ()))
        run((*settings, f"seed={seed}"), args.folder / f"{method}_{seed}", args.threads)

    runs = [(method, seed) for seed in args.seeds for method in args.methods]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda one: search(*one), runs))
    lines = [HEADER]
    for method in args.methods:
        searches = [by_table(args.folder / f"{method}_{seed}") for seed in args.seeds]
        if ended := [one for one in searches if one is not None]:
            lines.append(row(f"`{method}`", ended))
    text = "\n".join([*lines, *controls()]) + "\n"
    (args.folder / "methods.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
