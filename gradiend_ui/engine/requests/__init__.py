"""What a lane is asked, one file per kind of request: functions of a `Bench` and a JSON-like body."""
