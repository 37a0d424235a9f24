"""The tables of README.md and RESULTS.md: functions from a folder of results to Markdown."""
