"""The result of a push or a dry run as plain JSON-able data, for ``--json``, the page and the terminal."""

from __future__ import annotations

from typing import Any

from csql_ml.handoff.note import Note
from csql_ml.handoff.plan import RESTING, SENDING, Change
from csql_ml.handoff.push import Pushed
from csql_ml.handoff.row import Row
from csql_ml.handoff.sink import Finding

#: What one would look at: what is sent first, then what is not, and why.
_SHOWN = (*SENDING, *(action for action in RESTING if action not in ("unchanged", "older")))


def push_data(pushed: Pushed) -> dict[str, Any]:
    """Everything about a push; unchanged and older records are counted only."""
    plan = pushed.plan
    return {
        "sink": pushed.sink,
        "dry_run": pushed.dry,
        "push_id": pushed.push_id,
        "run_id": plan.run.run_id if plan else None,
        "as_of": plan.run.as_of if plan else None,
        "planned": plan.counts() if plan else {},
        "counts": pushed.counts,
        "seconds": round(pushed.seconds, 3),
        "findings": [_finding(f) for f in pushed.findings],
        "notes": [str(note) for note in plan.notes] if plan else [],
        "note_messages": [note.parts() for note in plan.notes] if plan else [],
        "changes": [_change(c) for c in plan.changes if c.action in _SHOWN] if plan and pushed.dry else [],
        "dead": [_dead(row) for row in pushed.dead],
        "unfinished": pushed.unfinished,
        "swept": [{"key": s.key, "kept": s.kept, "withdrawn": list(s.withdrawn)} for s in pushed.swept],
        "exit_code": pushed.exit_code,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """With the parts of its sentence; a sink of one's own may give a plain sentence, which has none."""
    parts = finding.message.parts() if isinstance(finding.message, Note) else None
    return {"name": finding.name, "level": finding.level, "message": str(finding.message), "parts": parts}


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "key": change.key,
        "account_id": change.account_id,
        "account_name": change.account_name,
        "action": change.action,
        "reason": change.reason,
        "differences": [{"field": d.field, "before": d.before, "after": d.after} for d in change.differences],
    }


def _dead(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "key": row.key,
        "account_id": row.account_id,
        "because": row.dead_because,
        "error": row.error,
        "attempts": row.attempts,
    }
