"""The process that decodes pictures: `python -m gateway.imaging.worker`, started by `imaging.process` alone. Pillow is imported here only."""
