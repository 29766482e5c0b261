"""Programs that are no tests: benchmarks, load, kills, failing writes, hostile uploads, pictures; run with `-m`."""
