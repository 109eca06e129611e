"""Uploads become samples in a thread of their own, which ends when nobody waits for it any more."""

import tempfile
from pathlib import Path

from service.evaluation.archives import Samples, open_samples
from service.evaluation.spool import Frame
from service.evaluation.stopping import in_thread
from service.evaluation.unpacking import Limits
from service.settings import Settings
from service.store import ImageInput


async def read_samples(
    upload: Path, working_dir: Path, spec: ImageInput, settings: Settings, *, skip_unreadable: bool
) -> Samples:
    """The samples of an upload, which from now on lie in a new folder of `working_dir`.

    Raises UnreadableArchive and InvalidSamples. Cancelled, it returns when nothing is written there any more.
    """
    folder = Path(tempfile.mkdtemp(prefix="samples-", dir=working_dir))
    return await in_thread(
        lambda stop: open_samples(
            upload,
            working_dir=folder,
            frame=Frame.of(spec),
            limits=Limits(settings.upload_limit_bytes, settings.image_limit_pixels),
            skip_unreadable=skip_unreadable,
            stop=stop,
        )
    )
