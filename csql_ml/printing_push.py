"""What ``csql push`` and ``csql pull`` print: text for people and the data behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from csql_ml.handoff.plan import RESTING, SENDING
from csql_ml.handoff.pull import Pulled
from csql_ml.handoff.push import Pushed
from csql_ml.handoff.push_data import push_data
from csql_ml.printing import Printed, titled_table

#: Changes shown in full in the terminal; the page and the JSON have them all.
MOST_SHOWN = 10
_COLOURS = {"create": "green", "update": "blue", "reopen": "blue", "withdraw": "yellow", "invalid": "red"}
_ALWAYS = ("create", "update", "unchanged", "invalid")
#: A longer text is shown by its beginning; the page and the JSON have it whole.
_LONGEST = 160
_NOTHING = {"push": "nothing sent", "replay": "nothing sent", "pull": "nothing new"}


def pushed(result: Pushed) -> Printed:
    """Result of ``csql push``, of its dry run and of ``--replay``."""
    data = push_data(result)
    text: list[Any] = [*_planned(data), *_findings(data)]
    if result.dry:
        text += [*_changes(data["changes"]), "dry run: nothing was written"]
    else:
        text += [*_delivered(data), *_dead(data)]
    return Printed(text, data)


def history(pushes: Sequence[Mapping[str, Any]]) -> Printed:
    """Result of ``csql push --history``; pulls stand among the pushes."""
    if not pushes:
        return Printed(["nothing was pushed yet"], {"pushes": []})
    rows = [
        (
            p["push_id"] or "-",
            p["begun_at"],
            p["sink"],
            p["job"],
            p["run_id"] or "-",
            p["as_of"] or "-",
            "interrupted" if p["seconds"] is None else f"{p['seconds']:.1f} s",
            ", ".join([*(f"{n:,} {what}" for what, n in p["counts"].items()), *_held_out(p)]) or _NOTHING[p["job"]],
        )
        for p in pushes
    ]
    columns = ("number", "begun (UTC)", "sink", "job", "run", "as of", "took", "result")
    text: list[Any] = [titled_table("Pushes and pulls, newest first", *columns, rows=rows, left=None)]
    if "results" in pushes[0]:
        results = [
            (
                r["kind"],
                r["key"],
                r["account_id"],
                r["action"],
                r["result"],
                r["attempts"],
                r["remote_id"] or "-",
                r["error"] or "",
            )
            for r in pushes[0]["results"]
        ]
        names = ("kind", "key", "account", "action", "result", "attempts", "remote id", "error")
        text += ["", titled_table(f"Results of push {pushes[0]['push_id']}", *names, rows=results, left=None)]
    return Printed(text, {"pushes": [dict(p) for p in pushes]})


def _held_out(push: Mapping[str, Any]) -> list[str]:
    count = push["planned"].get("lead", {}).get("held_out", 0)
    return [f"{count:,} held out"] if count else []


def _words(action: str) -> str:
    return action.replace("_", " ")


def _planned(data: Mapping[str, Any]) -> list[Any]:
    planned = {k: c for k, c in data["planned"].items() if set(c) & {*SENDING, *RESTING}}
    if not planned:
        return []
    actions = [a for a in (*SENDING, *RESTING) if a in _ALWAYS or any(c[a] for c in planned.values())]
    rows = [(kind, *(f"{counts[a]:,}" for a in actions)) for kind, counts in planned.items()]
    title = (
        f"{'Dry run' if data['dry_run'] else 'Push'} of run {data['run_id']} (as of {data['as_of']}) to {data['sink']}"
    )
    return [titled_table(title, "", *map(_words, actions), rows=rows), ""]


def _findings(data: Mapping[str, Any]) -> list[str]:
    words = {"refuse": "[bold red]a push would be refused:[/]", "warn": "[bold]note:[/]"}
    found = [f"{words[f['level']]} {escape(f['message'])} {escape('[' + f['name'] + ']')}" for f in data["findings"]]
    notes = [f"[bold]note:[/] {escape(note)}" for note in data["notes"]]
    return [*found, *notes, *([""] if found or notes else [])]


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The first changes field by field, most telling first: what is sent before what is not."""
    order = ("update", "reopen", "withdraw", "invalid", "waiting", "held_out", "create", "drop")
    shown = sorted(changes, key=lambda c: order.index(c["action"]))[:MOST_SHOWN]
    text: list[Any] = []
    for change in shown:
        colour = _COLOURS.get(change["action"], "white")
        name = change["account_name"] or change["account_id"]
        reason = f" ({escape(change['reason'])})" if change["reason"] else ""
        action, account = _words(change["action"]), escape(change["account_id"])
        text.append(f"[bold {colour}]{action}[/] {escape(str(name))} [dim]{account}[/]{reason}")
        if change["action"] not in ("create", "waiting", "held_out", "drop"):
            text += [_difference(d) for d in change["differences"]]
    if len(changes) > len(shown):
        text.append(f"... and {len(changes) - len(shown):,} more; --html FILE and --json have them all")
    return [*text, ""] if text else []


def _difference(difference: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for width in (22, None, 2, None):
        table.add_column(width=width, overflow="fold")
    before, after = map(_short, _unlike(difference["before"], difference["after"]))
    table.add_row(f"  {difference['field']}", f"[red]{escape(before)}[/]", "→", f"[green]{escape(after)}[/]")
    return table


def _unlike(before: Any, after: Any) -> tuple[Any, Any]:
    """Of texts of several lines only the lines that differ."""
    if not isinstance(before, str) or not isinstance(after, str) or "\n" not in before + after:
        return before, after
    old, new = before.splitlines(), after.splitlines()
    kept = set(old) & set(new)
    gone, come = ("\n".join(line for line in lines if line not in kept) for lines in (old, new))
    # Where only the order of lines is another one, all of them are shown.
    return (gone, come) if gone or come else (before, after)


def _short(value: Any) -> str:
    text = "-" if value is None or value == "" else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _delivered(data: Mapping[str, Any]) -> list[str]:
    sent = {what: n for what, n in data["counts"].items() if what != "dead"}
    done = ", ".join(f"{what}: {n:,}" for what, n in sent.items()) or "nothing was sent"
    swept = [
        f"{escape(s['key'])} was there {len(s['withdrawn']) + 1} times; kept {escape(s['kept'])}, withdrew the others"
        for s in data["swept"]
    ]
    waiting = [
        f"[bold]{data['unfinished']:,} rows wait[/] because {data['sink']} asked for time; push again later"
    ] * bool(data["unfinished"])
    return [f"{done} ({data['seconds']:.1f} s)", *swept, *waiting]


def _dead(data: Mapping[str, Any]) -> list[Any]:
    dead = data["dead"]
    if not dead:
        return []
    rows = [(d["kind"], d["key"], d["account_id"], d["because"], d["error"]) for d in dead[:MOST_SHOWN]]
    rest = [f"... and {len(dead) - MOST_SHOWN:,} more; --json has them all"] * (len(dead) > MOST_SHOWN)
    return [
        "",
        titled_table(f"{len(dead):,} dead", "kind", "key", "account", "because", "error", rows=rows, left=None),
        *rest,
        f"[bold]{len(dead):,} rows are dead[/]; mend the cause, then: csql push --replay KEY, or --replay all",
    ]


def pulled(result: Pulled) -> Printed:
    """Result of ``csql pull``."""
    tables = {name: vars(counts) for name, counts in result.counts.items()}
    data = {
        "sink": result.sink,
        "folder": str(result.folder),
        "tables": tables,
        "leads": dict(result.leads),
        "won_arr": round(result.won_arr, 2),
        "noted": result.noted,
        "read_from_the_beginning": result.anew,
    }
    rows = [(name, *(f"{counts[c]:,}" for c in ("new", "changed", "unchanged"))) for name, counts in tables.items()]
    title = f"Pulled from {result.sink} into {result.folder}"
    standing = ", ".join(f"{stage} {n:,}" for stage, n in result.leads.items() if n) or "none yet"
    text: list[Any] = [
        titled_table(title, "", "new", "changed", "unchanged", rows=rows),
        "",
        f"Leads now: {standing}; incremental ARR won {result.won_arr:,.2f}",
        f"{result.noted:,} outcomes were news to the outbox",
    ]
    return Printed(text, data)
