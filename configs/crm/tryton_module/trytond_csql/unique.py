"""Whether the database itself keeps a column unique: asked of its catalogue, not of the model's definition.

A constraint that a model declares may be missing all the same: Tryton only warns when it cannot create one because
there are equal rows already, and an administrator may have dropped it.
"""

from trytond import backend
from trytond.transaction import Transaction

# Valid, not deferred to the commit's end, over this column alone and over every row.
_POSTGRESQL = """
    SELECT count(*)
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(%s) AND a.attname = %s
        AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL
"""


def is_unique(table: str, column: str) -> bool:
    """Whether the database refuses a second row with the same value."""
    cursor = Transaction().connection.cursor()
    if backend.name == "postgresql":
        cursor.execute(_POSTGRESQL, (f'"{table}"', column))
        return cursor.fetchone()[0] > 0
    if backend.name != "sqlite":
        return False
    cursor.execute(f'PRAGMA index_list("{table}")')
    indexes = [name for _, name, unique, _, partial in cursor.fetchall() if unique and not partial]
    for name in indexes:
        cursor.execute(f'PRAGMA index_info("{name}")')
        if [found for _, _, found in cursor.fetchall()] == [column]:
            return True
    return False
