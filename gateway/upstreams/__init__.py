"""One adapter a vendor: translates an ImageRequest to its wire and what comes back to pictures or a classified failure."""
