"""Image bytes at rest: the interface of a store, the store on disk, and signed links to what is stored."""
