"""What a folder of generated scenarios holds: families, tiers, pairs of instruments, and pictures of a few."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from orchestrator.scenario_manifest import RECIPES_FILE, Manifest, read_manifest
from sim_core.errors import InfrastructureError
from sim_core.generate.coverage import Coverage, Pair, covered_by, revised_pairs
from sim_core.generate.recipe import Recipe
from sim_core.generate.tiers import TIERS, felt
from sim_core.suite import SPLITS, SuiteDefinition

PICTURES = "pictures"
_ROWS = 8192  # read at once
_PICTURES_A_SPLIT = 3
_COLUMNS = (
    "split",
    "family",
    "tier",
    "pressure",
    "events_felt",
    "instruments_revised",
    "shortest_notice",
    "notices",
    "recipe",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A scenario worth a picture: one whose law changes much, as far as its family's scenarios do.

    revised, felt: how many instruments and events, of those that change a value within the horizon.
    """

    split: str
    recipe: Recipe
    tier: str
    pressure: float
    revised: int
    felt: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """Larger is better: instruments revised, events, and the first of those that are equal in both."""
        return self.revised, self.felt, -self.recipe.index

    @property
    def title(self) -> str:
        """What its picture is called."""
        what = f"{self.felt} of {len(self.recipe.events)} revisions take effect in time"
        return f"{self.recipe.scenario} ({self.split}): {self.tier}, pressure {self.pressure:.2f}; {what}"

    @property
    def stem(self) -> str:
        """Its picture's name, without an ending."""
        return f"{self.split}-{self.recipe.scenario.replace('/', '-')}"


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What is counted of one family in one split."""

    scenarios: int = 0
    events: int = 0
    revised: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    notices: list[int] = field(default_factory=list)
    pairs: set[Pair] = field(default_factory=set)
    best: list[Shown] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        self.scenarios += 1
        self.events += row["events_felt"]
        self.revised += row["events_felt"] > 0
        self.tiers[row["tier"]] += 1
        if row["shortest_notice"] is not None:
            self.notices.append(row["shortest_notice"])
        rank = row["instruments_revised"], row["events_felt"]
        if row["events_felt"] or len(self.best) < _PICTURES_A_SPLIT:
            recipe = Recipe.from_json(row["recipe"])
            effective = felt(recipe, row["notices"])
            self.kinds.update(event.kind for event in effective.events)
            self.pairs |= revised_pairs(effective)
            if len(self.best) < _PICTURES_A_SPLIT or rank > self.best[-1].rank[:2]:
                self._keep(row, recipe)

    def _keep(self, row: Mapping[str, Any], recipe: Recipe) -> None:
        shown = Shown(
            split=row["split"],
            recipe=recipe,
            tier=row["tier"],
            pressure=row["pressure"],
            revised=row["instruments_revised"],
            felt=row["events_felt"],
        )
        self.best = sorted((*self.best, shown), key=lambda one: one.rank, reverse=True)[:_PICTURES_A_SPLIT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a folder holds, in JSON form, and the scenarios that are worth a picture."""

    suite: SuiteDefinition
    form: dict[str, Any]
    shown: tuple[Shown, ...]


def describe(folder: Path) -> Description:
    """Read a folder of scenarios. Raises what sim_core's errors name: a missing, foreign, old or damaged folder."""
    manifest = read_manifest(folder)
    suite = manifest.suite
    tallies: dict[tuple[str, str], _Tally] = {}
    for row in _rows(manifest):
        tallies.setdefault((row["split"], row["family"]), _Tally()).add(row)
    tiers = {split: Counter[str]() for split in SPLITS if split in suite.splits and suite.splits[split].scenarios}
    for (split, _), tally in tallies.items():
        tiers[split] += tally.tiers
    pairs = (pair for tally in tallies.values() for pair in tally.pairs)
    form = {
        "digest": manifest.digest,
        "suite": suite.name,
        "scenarios": sum(tally.scenarios for tally in tallies.values()),
        "files": {name: record["sha256"] for name, record in manifest.files.items()},
        "families": [_family_form(suite, *key, tally) for key, tally in tallies.items()],
        "tiers": {split: {name: counted[name] for name in TIERS} for split, counted in tiers.items()},
        "coverage": _coverage_form(covered_by(suite.listed_families, pairs)),
    }
    return Description(suite=suite, form=form, shown=tuple(_shown(tallies)))


def draw_pictures(folder: Path, description: Description) -> list[Path]:
    """Draw the scenarios that are worth a picture, in place of those of an earlier time; return the files.

    Raises InfrastructureError when the disk fails.
    """
    from orchestrator.timeline_pictures import draw_picture
    from sim_core.engine.layout import build_layout
    from sim_core.scenario import from_recipe

    layout, found = build_layout(description.suite), list[Path]()
    try:
        (folder / PICTURES).mkdir(exist_ok=True)
        for split in SPLITS:
            for old in (path for path in (folder / PICTURES).glob(f"{split}-*") if path.suffix in (".png", ".svg")):
                old.unlink()
        for one in description.shown:
            found += draw_picture(layout, from_recipe(layout, one.recipe), one.title, folder / PICTURES / one.stem)
    except OSError as error:
        raise InfrastructureError(
            f"can't write {folder / PICTURES}: {error}; or leave them out with --no-pictures"
        ) from error
    return found


def tables(form: Mapping[str, Any]) -> list[Table | Text]:
    """Return what people read of a description in JSON form."""
    return [_families_table(form), _tiers_table(form), _coverage_table(form), _feasibility(form)]


def _feasibility(form: Mapping[str, Any]) -> Text:
    """Say which mandates are out of reach at times."""
    unmet = dict.fromkeys(duty for family in form["families"] for duty in family["unmet"])
    if not unmet:
        return Text("no family says that a mandate is out of reach")
    return Text(f"in some scenarios no reference controller meets {', '.join(unmet)}")


def _rows(manifest: Manifest) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(manifest.folder / RECIPES_FILE) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(_COLUMNS)):
            yield from batch.to_pylist()


def _family_form(suite: SuiteDefinition, split: str, name: str, tally: _Tally) -> dict[str, Any]:
    family = suite.family(name)
    return {
        "split": split,
        "family": name,
        "description": family.description,
        "unmet": list(family.unmet),
        "scenarios": tally.scenarios,
        "events": tally.events / tally.scenarios,
        "revised": tally.revised / tally.scenarios,
        "kinds": dict(tally.kinds.most_common()),
        "notice": median(tally.notices) if tally.notices else None,
        "coverage": _coverage_form(covered_by((family,), tally.pairs)),
    }


def _coverage_form(found: Coverage) -> dict[str, Any]:
    return {
        "admissible": len(found.admissible),
        "covered": len(found.covered),
        "share": found.share,
        "missing": [list(pair) for pair in found.missing],
    }


def _shown(tallies: Mapping[tuple[str, str], _Tally]) -> Iterator[Shown]:
    """Yield a few scenarios of each split: first the best one of each family, then what else they have."""
    for split in SPLITS:
        by_family = [tally.best for (of, _), tally in tallies.items() if of == split]
        rounds = [[best[place] for best in by_family if place < len(best)] for place in range(_PICTURES_A_SPLIT)]
        ranked = [one for of_round in rounds for one in sorted(of_round, key=lambda one: one.rank, reverse=True)]
        yield from ranked[:_PICTURES_A_SPLIT]


def _families_table(form: Mapping[str, Any]) -> Table:
    table = _table(f"{form['scenarios']:,} scenarios of suite {form['suite']}; events that take effect in time")
    for heading in ("split", "family", "what it is"):
        table.add_column(heading, overflow="fold")
    for heading in ("scenarios", "events\na scenario", "revised\n%", "shortest notice\nmedian days"):
        table.add_column(heading, justify="right")
    table.add_column("kinds of events", overflow="fold")
    for one in form["families"]:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in one["kinds"].items())
        notice = "-" if one["notice"] is None else f"{one['notice']:,.0f}"
        numbers = (f"{one['scenarios']:,}", f"{one['events']:.2f}", f"{one['revised']:.1%}".rstrip("%"), notice)
        words = (one["split"], one["family"], one["description"])
        table.add_row(*(Text(word) for word in words), *numbers, kinds or "-")
    return table


def _tiers_table(form: Mapping[str, Any]) -> Table:
    table = _table("Tiers: how hard the law is to live with, told from its revisions alone")
    table.add_column("split")
    for name in TIERS:
        table.add_column(name, justify="right")
    for split, counted in form["tiers"].items():
        whole = sum(counted.values())
        table.add_row(split, *(f"{count:,} ({count / whole:.0%})" if whole else "0" for count in counted.values()))
    return table


def _coverage_table(form: Mapping[str, Any]) -> Table | Text:
    rows = [(f"{one['family']} ({one['split']})", one["coverage"]) for one in form["families"]]
    rows = [(name, found) for name, found in rows if found["admissible"]]
    if not rows:
        return Text("no family draws its revisions from combinations of instruments, so there are no pairs to cover")
    table = _table("Pairs of instruments that one scenario revises together")
    table.add_column("family", overflow="fold")
    for heading in ("admissible", "covered", "share"):
        table.add_column(heading, justify="right")
    table.add_column("missing", overflow="fold")
    for name, found in (*rows, ("all", form["coverage"])):
        counts = (f"{found['admissible']:,}", f"{found['covered']:,}", f"{found['share']:.1%}")
        table.add_row(Text(name), *counts, Text(_named(found["missing"]) or "none"))
    return table


def _named(pairs: Sequence[Sequence[str]]) -> str:
    return ", ".join(" + ".join(pair) for pair in pairs)


def _table(title: str) -> Table:
    return Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
