"""Faults between jfsnb and the API: what could not be looked at must never look fine. ``python -m tests.faults`` runs
every command against every kind of fault of every verb and resource that it uses; docs/faults.md is its table."""
