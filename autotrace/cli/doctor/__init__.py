"""`autotrace doctor`: one module for each question, `examination` to ask them, `report` to tell."""
