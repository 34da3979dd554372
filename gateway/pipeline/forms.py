"""The form in which a caller wants the files: format, compression, opaque. Pure.

Only models whose catalogue entry says `convert` get more than an upstream makes; what the upstream was asked for and made needs nothing.
"""

from dataclasses import dataclass

from gateway.domain.images import Background, ImageRequest, OutputFormat
from gateway.pipeline.frozen import FrozenPlan

COMPRESSION = "output_compression"
_FORMATS = {form.content_type: form for form in OutputFormat}


@dataclass(frozen=True, slots=True)
class Form:
    """What is wanted of every file of an attempt."""

    output_format: OutputFormat | None
    """None: as it came."""
    compression: int = 100
    compress: bool = False
    """The upstream was not told of the compression."""
    opaque: bool = False
    """The upstream was not told that the background is to be opaque."""

    def change(self, content_type: str, *, has_alpha: bool) -> OutputFormat | None:
        """The format in which a file must be made anew; None: it is as wanted."""
        now = _FORMATS.get(content_type)
        wanted = self.output_format or now
        if wanted is not now:
            return wanted
        compressible = self.compress and wanted is not OutputFormat.PNG
        return wanted if compressible or (self.opaque and has_alpha) else None


def form_of(plan: FrozenPlan, asked: ImageRequest, sent: ImageRequest) -> Form | None:
    """`sent` is what the attempt's upstream was asked for. None: whatever comes is right."""
    if not plan.converts:
        return None
    text = dict(asked.options).get(COMPRESSION)
    compression = int(text) if text is not None and text.isdigit() else None
    compress = compression is not None and COMPRESSION not in dict(sent.options)
    opaque = asked.background is Background.OPAQUE and sent.background is not Background.OPAQUE
    if asked.output_format is None and not compress and not opaque:
        return None
    return Form(asked.output_format, 100 if compression is None else min(compression, 100), compress, opaque)
