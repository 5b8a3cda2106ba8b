"""papermill runner, HTML report, JUnit, JSON."""
