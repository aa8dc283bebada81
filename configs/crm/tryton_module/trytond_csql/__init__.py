"""The Tryton module ``csql``; ``tryton.cfg`` says what it registers."""
