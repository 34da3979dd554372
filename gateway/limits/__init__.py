"""How much at once: slots at upstreams. Rates and per-key limits follow with spend control."""
