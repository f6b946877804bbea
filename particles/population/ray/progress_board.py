"""Where the tasks of a sweep meet. Nothing is imported here: its process should be up before the first task is."""

from typing import Any


class Board:
    """Where tasks note how far they are, and learn whether they are asked to stop. Lives in a process of its own."""

    def __init__(self) -> None:
        self.notes: dict[int, Any] = {}
        self.stopping = False

    def note(self, number: int, value: Any) -> bool:
        """Keep a task's newest note; whether it should stop."""
        self.notes[number] = value
        return self.stopping

    def look(self, stopping: bool) -> dict[int, Any]:
        """The notes since the last look."""
        self.stopping = self.stopping or stopping
        notes, self.notes = self.notes, {}
        return notes
