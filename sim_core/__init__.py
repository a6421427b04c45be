"""The benchmark's model: networks, law, scenarios, engines, metrics. Pure: no Ray, no files but its own, no clock."""
