"""How much at once, and how often: rates and tasks at once of keys, teams and orgs, and places at upstreams; in memory, or over all processes."""
