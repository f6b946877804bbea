"""Frames of a movie as one file: a GIF on one palette, or an MP4 by the program ffmpeg."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from particles.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from particles.measures.measure import Array

_COLOURS = 128  # a movie has few hues; the rest are edges of letters, dots over each other and shades of grey
_WHITE = 248  # of 255: Pillow finds a colour's place in the palette in steps of four or so
_SAMPLED = 8  # frames from which the colours are chosen


def gif(frames: "Sequence[Image]", ticks: "Array", fps: float) -> bytes:
    """RGB frames as one GIF on one palette, so that no colour flickers; ticks : (T,), how long each stays."""
    from PIL import Image

    ends = np.round(np.cumsum(ticks) * 100.0 / fps).astype(int)  # a GIF counts hundredths of a second
    durations = [10 * int(part) for part in np.diff(ends, prepend=0)]
    sampled = [frames[at] for at in np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int))]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * len(sampled)))
    for row, frame in enumerate(sampled):
        sheet.paste(frame, (0, height * row))
    palette = sheet.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= _WHITE] = 255  # paper is white, not the mean of what is nearly white
    palette.putpalette(colours.ravel().tolist())
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    page = io.BytesIO()
    first.save(page, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return page.getvalue()


def ffmpeg() -> str:
    """The program ffmpeg; InputError where it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError("an .mp4 needs the program ffmpeg", "none on PATH", "Install it, or write a .gif.")
    return program


def mp4(frames: "Sequence[Image]", ticks: "Array", fps: float, program: str) -> bytes:
    """RGB frames as an MP4 of H.264 that every viewer plays; ticks : (T,), how often each is repeated.

    Its sides are made even by a line of white, as the colours are stored for squares of four pixels.
    """
    width, height = frames[0].size
    size, even = f"{width}x{height}", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}"]
    command += ["-i", "-", "-vf", even, "-pix_fmt", "yuv420p", "-bitexact", "-movflags", "+faststart"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        content = b"".join(frame.tobytes() * int(tick) for frame, tick in zip(frames, ticks, strict=True))
        done = subprocess.run([*command, str(path)], input=content, capture_output=True, check=False)
        if done.returncode or not path.is_file():
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise InputError("ffmpeg must be able to write H.264", last, "Write a .gif.")
        return path.read_bytes()
