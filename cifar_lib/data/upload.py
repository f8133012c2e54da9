"""A button with which the reader of a notebook chooses photographs."""

import sys

from .. import CourseError


class UploadButton:
    """A button with which photographs are chosen in a notebook: Colab's own, or that of ipywidgets.

    Colab waits until they are there. Elsewhere the button appears under the cell, and `files` has what was
    chosen by the time that a later cell asks.

    Raises:
        CourseError: this is not Colab, and ipywidgets is not installed.
    """

    def __init__(self) -> None:
        self._uploaded: dict[str, bytes] = {}
        self._chooser = None
        if "google.colab" in sys.modules:
            from google.colab import files

            self._uploaded = files.upload()
            return
        try:
            from IPython.display import display
            from ipywidgets import FileUpload
        except ImportError:
            raise CourseError(
                "A button needs ipywidgets: pip install ipywidgets, or give the photograph's name instead."
            ) from None
        self._chooser = FileUpload(accept="image/*", multiple=True)
        display(self._chooser)

    def files(self) -> dict[str, bytes]:
        """The content of each photograph that was chosen, by its name."""
        if self._chooser is None:
            return self._uploaded
        return {file["name"]: bytes(file["content"]) for file in self._chooser.value}
