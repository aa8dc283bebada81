-- Databricks -> Parquet for csql_ml on one machine, for those who do not want it on their Spark cluster. Names on the
-- left of AS, and the tables after FROM, are yours to change; names on the right are the contract's. A column that you
-- do not have is left out. Optional tables may be left out, too.
-- Never run against Databricks; a test parses it and compares the names with the contract.

-- Events, after each day's load: the rows that arrived on one day, in a folder of that day. A later run of csql_ml
-- reads the new folders only. By arrival and not by occurred_at, so that a row that comes late is in a new file. For
-- the history, run it once per day or once per month (one folder each).
SET TIME ZONE 'UTC';

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/events/loaded=2026-03-31' USING PARQUET
SELECT
    account_id AS account_id, user_id AS user_id, occurred_at AS occurred_at, event_name AS event_name,
    event_id AS event_id, feature AS feature, CAST(quantity AS DECIMAL(18, 6)) AS quantity,
    recorded_at AS recorded_at
FROM main.public.events
WHERE recorded_at >= '2026-03-31' AND recorded_at < '2026-04-01';

-- All else is small and goes out whole, each time.
INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/accounts' USING PARQUET
SELECT
    account_id AS account_id, name AS name, created_at AS created_at, industry AS industry, segment AS segment,
    region AS region, employees AS employees, csm_id AS csm_id, ae_id AS ae_id,
    parent_account_id AS parent_account_id, recorded_at AS recorded_at
FROM main.public.accounts;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/contracts' USING PARQUET
SELECT
    account_id AS account_id, product AS product, seats AS seats, CAST(arr AS DECIMAL(18, 2)) AS arr,
    start_date AS start_date, end_date AS end_date, contract_id AS contract_id, plan AS plan,
    signed_at AS signed_at, recorded_at AS recorded_at
FROM main.public.contracts;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/users' USING PARQUET
SELECT
    user_id AS user_id, account_id AS account_id, created_at AS created_at, deactivated_at AS deactivated_at,
    role AS role, recorded_at AS recorded_at
FROM main.public.users;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/tickets' USING PARQUET
SELECT
    ticket_id AS ticket_id, account_id AS account_id, opened_at AS opened_at, severity AS severity,
    closed_at AS closed_at, topic AS topic, recorded_at AS recorded_at
FROM main.public.tickets;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/nps' USING PARQUET
SELECT
    account_id AS account_id, responded_at AS responded_at, score AS score, user_id AS user_id,
    recorded_at AS recorded_at
FROM main.public.nps;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/advocacy' USING PARQUET
SELECT
    account_id AS account_id, occurred_at AS occurred_at, kind AS kind, recorded_at AS recorded_at
FROM main.public.advocacy;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/milestones' USING PARQUET
SELECT
    account_id AS account_id, occurred_at AS occurred_at, kind AS kind, product AS product, note AS note,
    recorded_at AS recorded_at
FROM main.public.milestones;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/contacts' USING PARQUET
SELECT
    contact_id AS contact_id, account_id AS account_id, role AS role, since AS since,
    last_engaged_at AS last_engaged_at, name AS name, recorded_at AS recorded_at
FROM main.public.contacts;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/csqls' USING PARQUET
SELECT
    csql_id AS csql_id, account_id AS account_id, type AS type, created_at AS created_at, csm_id AS csm_id,
    ae_id AS ae_id, accepted_at AS accepted_at, rejected_at AS rejected_at,
    rejection_reason AS rejection_reason, opportunity_at AS opportunity_at, closed_at AS closed_at, won AS won,
    CAST(arr AS DECIMAL(18, 2)) AS arr, source AS source, recorded_at AS recorded_at
FROM main.public.csqls;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/opportunities' USING PARQUET
SELECT
    opportunity_id AS opportunity_id, account_id AS account_id, type AS type, created_at AS created_at,
    CAST(arr AS DECIMAL(18, 2)) AS arr, closed_at AS closed_at, won AS won, source AS source,
    recorded_at AS recorded_at
FROM main.public.opportunities;

INSERT OVERWRITE DIRECTORY '/Volumes/main/csql/export/coverage' USING PARQUET
SELECT
    csm_id AS csm_id, account_id AS account_id, start_date AS start_date, end_date AS end_date,
    recorded_at AS recorded_at
FROM main.public.coverage;

-- To the machine that csql_ml runs on:
-- databricks fs cp --recursive dbfs:/Volumes/main/csql/export /data/csql
