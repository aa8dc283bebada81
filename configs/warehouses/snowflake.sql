-- Snowflake -> Parquet for csql_ml. Names on the left of AS, and the tables after FROM, are yours to change; names on
-- the right are the contract's. A column that you do not have is left out. Optional tables may be left out, too.
-- Never run against Snowflake; a test parses it and compares the names with the contract.

-- Parquet from Snowflake holds no zones: times go out as UTC without one, which csql_ml takes for UTC.
ALTER SESSION SET TIMEZONE = 'UTC';

-- Once, or a stage of your own bucket: CREATE STAGE csql_export URL = 's3://...' STORAGE_INTEGRATION = ...
CREATE STAGE IF NOT EXISTS csql_export;

-- Events, after each day's load: the rows that arrived on one day, in a folder of that day. A later run of csql_ml
-- reads the new folders only. To replace a day, REMOVE its folder first. By arrival and not by occurred_at, so that a
-- row that comes late is in a new file. The first time, run it without the WHERE: PARTITION BY makes one folder a day.
COPY INTO @csql_export/events/
FROM (
    SELECT
        account_id AS "account_id", user_id AS "user_id",
        CONVERT_TIMEZONE('UTC', occurred_at)::TIMESTAMP_NTZ AS "occurred_at", event_name AS "event_name",
        event_id AS "event_id", feature AS "feature", quantity::NUMBER(18, 6) AS "quantity",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.events
    WHERE recorded_at >= '2026-03-31' AND recorded_at < '2026-04-01'
)
PARTITION BY ('loaded=' || TO_VARCHAR("recorded_at", 'YYYY-MM-DD'))
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

-- All else is small and goes out whole, each time. REMOVE, because OVERWRITE replaces files of the same name only.
REMOVE @csql_export/accounts/;
COPY INTO @csql_export/accounts/
FROM (
    SELECT
        account_id AS "account_id", name AS "name",
        CONVERT_TIMEZONE('UTC', created_at)::TIMESTAMP_NTZ AS "created_at", industry AS "industry",
        segment AS "segment", region AS "region", employees AS "employees", csm_id AS "csm_id",
        ae_id AS "ae_id", parent_account_id AS "parent_account_id",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.accounts
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/contracts/;
COPY INTO @csql_export/contracts/
FROM (
    SELECT
        account_id AS "account_id", product AS "product", seats AS "seats", arr::NUMBER(18, 2) AS "arr",
        start_date AS "start_date", end_date AS "end_date", contract_id AS "contract_id", plan AS "plan",
        CONVERT_TIMEZONE('UTC', signed_at)::TIMESTAMP_NTZ AS "signed_at",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.contracts
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/users/;
COPY INTO @csql_export/users/
FROM (
    SELECT
        user_id AS "user_id", account_id AS "account_id",
        CONVERT_TIMEZONE('UTC', created_at)::TIMESTAMP_NTZ AS "created_at",
        CONVERT_TIMEZONE('UTC', deactivated_at)::TIMESTAMP_NTZ AS "deactivated_at", role AS "role",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.users
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/tickets/;
COPY INTO @csql_export/tickets/
FROM (
    SELECT
        ticket_id AS "ticket_id", account_id AS "account_id",
        CONVERT_TIMEZONE('UTC', opened_at)::TIMESTAMP_NTZ AS "opened_at", severity AS "severity",
        CONVERT_TIMEZONE('UTC', closed_at)::TIMESTAMP_NTZ AS "closed_at", topic AS "topic",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.tickets
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/nps/;
COPY INTO @csql_export/nps/
FROM (
    SELECT
        account_id AS "account_id", CONVERT_TIMEZONE('UTC', responded_at)::TIMESTAMP_NTZ AS "responded_at",
        score AS "score", user_id AS "user_id",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.nps
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/advocacy/;
COPY INTO @csql_export/advocacy/
FROM (
    SELECT
        account_id AS "account_id", CONVERT_TIMEZONE('UTC', occurred_at)::TIMESTAMP_NTZ AS "occurred_at",
        kind AS "kind", CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.advocacy
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/milestones/;
COPY INTO @csql_export/milestones/
FROM (
    SELECT
        account_id AS "account_id", CONVERT_TIMEZONE('UTC', occurred_at)::TIMESTAMP_NTZ AS "occurred_at",
        kind AS "kind", product AS "product", note AS "note",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.milestones
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/contacts/;
COPY INTO @csql_export/contacts/
FROM (
    SELECT
        contact_id AS "contact_id", account_id AS "account_id", role AS "role",
        CONVERT_TIMEZONE('UTC', since)::TIMESTAMP_NTZ AS "since",
        CONVERT_TIMEZONE('UTC', last_engaged_at)::TIMESTAMP_NTZ AS "last_engaged_at", name AS "name",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.contacts
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/csqls/;
COPY INTO @csql_export/csqls/
FROM (
    SELECT
        csql_id AS "csql_id", account_id AS "account_id", type AS "type",
        CONVERT_TIMEZONE('UTC', created_at)::TIMESTAMP_NTZ AS "created_at", csm_id AS "csm_id",
        ae_id AS "ae_id", CONVERT_TIMEZONE('UTC', accepted_at)::TIMESTAMP_NTZ AS "accepted_at",
        CONVERT_TIMEZONE('UTC', rejected_at)::TIMESTAMP_NTZ AS "rejected_at",
        rejection_reason AS "rejection_reason",
        CONVERT_TIMEZONE('UTC', opportunity_at)::TIMESTAMP_NTZ AS "opportunity_at",
        CONVERT_TIMEZONE('UTC', closed_at)::TIMESTAMP_NTZ AS "closed_at", won AS "won",
        arr::NUMBER(18, 2) AS "arr", source AS "source",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.csqls
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/opportunities/;
COPY INTO @csql_export/opportunities/
FROM (
    SELECT
        opportunity_id AS "opportunity_id", account_id AS "account_id", type AS "type",
        CONVERT_TIMEZONE('UTC', created_at)::TIMESTAMP_NTZ AS "created_at", arr::NUMBER(18, 2) AS "arr",
        CONVERT_TIMEZONE('UTC', closed_at)::TIMESTAMP_NTZ AS "closed_at", won AS "won", source AS "source",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.opportunities
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

REMOVE @csql_export/coverage/;
COPY INTO @csql_export/coverage/
FROM (
    SELECT
        csm_id AS "csm_id", account_id AS "account_id", start_date AS "start_date", end_date AS "end_date",
        CONVERT_TIMEZONE('UTC', recorded_at)::TIMESTAMP_NTZ AS "recorded_at"
    FROM analytics.public.coverage
)
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE;

-- To the machine that csql_ml runs on (or sync the bucket of an external stage):
-- GET @csql_export file:///data/csql/ PATTERN = '.*[.]parquet';
