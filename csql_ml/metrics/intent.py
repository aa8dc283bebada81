"""Intent: actions that show the will to adopt or buy more."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric, Ramp

expansion_intent_events = Metric(
    name="expansion_intent_events",
    part="timing",
    direction=+1,
    unit="count",
    formula=lambda at: M.total(at(M.GATED_CLICKS), at(M.UPGRADE_ATTEMPTS), at(M.MODULE_REQUESTS)),
    label="expansion intent events",
    description="Gated-feature clicks + upgrade attempts + support requests about new modules.",
    sentence="signs of interest in more in 30 days (gated features, upgrade attempts, module requests): {value}; "
    "in the 30 days before: {previous}",
    windows=(30, 90),
    compare=True,
    threshold=1.0,
    ramp=Ramp("intent", 0.0, 4.0, weight=1.5),
    facts={
        "gated_clicks": M.GATED_CLICKS,
        "upgrade_attempts": M.UPGRADE_ATTEMPTS,
        "module_requests": M.MODULE_REQUESTS,
    },
    skewed=True,
)

gated_feature_clicks = Metric(
    name="gated_feature_clicks",
    part="timing",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.GATED_CLICKS),
    label="gated-feature clicks",
    description="Clicks on features that are not part of the contract.",
    sentence="clicks on features outside the contract in 30 days: {value}; in the 30 days before: {previous}",
    windows=(30, 90),
    compare=True,
    threshold=1.0,
    facts={"gated_clicks": M.GATED_CLICKS},
    skewed=True,
)

upgrade_attempts = Metric(
    name="upgrade_attempts",
    part="timing",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.UPGRADE_ATTEMPTS),
    label="upgrade attempts",
    description="Attempts to upgrade from within the product.",
    sentence="upgrade attempts in 90 days: {value}; in the 90 days before: {previous}",
    windows=(90, 30),
    compare=True,
    threshold=1.0,
    gate="timing",
    ramp=Ramp("intent", 0.0, 1.0, weight=1.5),
    facts={"upgrade_attempts": M.UPGRADE_ATTEMPTS},
    skewed=True,
)

module_requests = Metric(
    name="module_requests",
    part="timing",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.MODULE_REQUESTS),
    label="support requests about new modules",
    description="Support tickets whose topic asks for a module not yet bought.",
    sentence="support requests about new modules in 90 days: {value}; in the 90 days before: {previous}",
    windows=(90,),
    compare=True,
    threshold=1.0,
    ramp=Ramp("intent", 0.0, 1.0, weight=0.5),
    facts={"module_requests": M.MODULE_REQUESTS},
    skewed=True,
)
