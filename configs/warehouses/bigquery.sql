-- BigQuery -> Parquet for csql_ml. Names on the left of AS, and the tables after FROM, are yours to change; names on
-- the right are the contract's. A column that you do not have is left out. Optional tables may be left out, too.
-- Never run against BigQuery; a test parses it and compares the names with the contract.

-- Events, after each day's load: the rows that arrived on one day, in a folder of that day. A later run of csql_ml
-- reads the new folders only. By arrival and not by occurred_at, so that a row that comes late is in a new file. For
-- the history, run it once per day or once per month (one folder each).
EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/events/loaded=2026-03-31/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, user_id AS user_id, occurred_at AS occurred_at, event_name AS event_name,
    event_id AS event_id, feature AS feature, CAST(quantity AS NUMERIC) AS quantity, recorded_at AS recorded_at
FROM analytics.events
WHERE recorded_at >= TIMESTAMP '2026-03-31 00:00:00+00' AND recorded_at < TIMESTAMP '2026-04-01 00:00:00+00';

-- All else is small and goes out whole, each time. Delete the folder first, because overwrite replaces files of the
-- same name only: gcloud storage rm --recursive gs://your-bucket/csql/accounts, and so on.
EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/accounts/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, name AS name, created_at AS created_at, industry AS industry, segment AS segment,
    region AS region, employees AS employees, csm_id AS csm_id, ae_id AS ae_id,
    parent_account_id AS parent_account_id, recorded_at AS recorded_at
FROM analytics.accounts;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/contracts/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, product AS product, seats AS seats, CAST(arr AS NUMERIC) AS arr,
    start_date AS start_date, end_date AS end_date, contract_id AS contract_id, plan AS plan,
    signed_at AS signed_at, recorded_at AS recorded_at
FROM analytics.contracts;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/users/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    user_id AS user_id, account_id AS account_id, created_at AS created_at, deactivated_at AS deactivated_at,
    role AS role, recorded_at AS recorded_at
FROM analytics.users;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/tickets/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    ticket_id AS ticket_id, account_id AS account_id, opened_at AS opened_at, severity AS severity,
    closed_at AS closed_at, topic AS topic, recorded_at AS recorded_at
FROM analytics.tickets;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/nps/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, responded_at AS responded_at, score AS score, user_id AS user_id,
    recorded_at AS recorded_at
FROM analytics.nps;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/advocacy/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, occurred_at AS occurred_at, kind AS kind, recorded_at AS recorded_at
FROM analytics.advocacy;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/milestones/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    account_id AS account_id, occurred_at AS occurred_at, kind AS kind, product AS product, note AS note,
    recorded_at AS recorded_at
FROM analytics.milestones;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/contacts/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    contact_id AS contact_id, account_id AS account_id, role AS role, since AS since,
    last_engaged_at AS last_engaged_at, name AS name, recorded_at AS recorded_at
FROM analytics.contacts;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/csqls/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    csql_id AS csql_id, account_id AS account_id, type AS type, created_at AS created_at, csm_id AS csm_id,
    ae_id AS ae_id, accepted_at AS accepted_at, rejected_at AS rejected_at,
    rejection_reason AS rejection_reason, opportunity_at AS opportunity_at, closed_at AS closed_at, won AS won,
    CAST(arr AS NUMERIC) AS arr, source AS source, recorded_at AS recorded_at
FROM analytics.csqls;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/opportunities/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    opportunity_id AS opportunity_id, account_id AS account_id, type AS type, created_at AS created_at,
    CAST(arr AS NUMERIC) AS arr, closed_at AS closed_at, won AS won, source AS source,
    recorded_at AS recorded_at
FROM analytics.opportunities;

EXPORT DATA OPTIONS (
    uri = 'gs://your-bucket/csql/coverage/*.parquet', format = 'PARQUET', compression = 'ZSTD',
    overwrite = TRUE
) AS
SELECT
    csm_id AS csm_id, account_id AS account_id, start_date AS start_date, end_date AS end_date,
    recorded_at AS recorded_at
FROM analytics.coverage;

-- To the machine that csql_ml runs on:
-- gcloud storage rsync --recursive --delete-unmatched-destination-objects gs://your-bucket/csql /data/csql
