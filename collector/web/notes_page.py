"""Floor 3. The forms of a line's notes: write one, correct it, withdraw it.

A form that is refused is shown again with what was typed and why.
"""

from __future__ import annotations

from msgspec import structs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.domain.lines import KnownLine
from collector.domain.read_model import ReadModel
from collector.store import line_notes
from collector.store.line_notes import LineNote, NoteConflictError, NoteEntry
from collector.users.user import Permission, User
from collector.web import notes_view as view
from collector.web.line_table import line_address
from collector.web.page_context import PageContext, local_path
from collector.web.query import found_or_404, line_of_path

# Of a form's `last`, the number of the entry that its author saw.
_DIGITS_MOST = 15


class NoteRefusedError(Exception):
    """A form is refused; `label` is why."""

    def __init__(self, label: str, status: int) -> None:
        super().__init__(label)
        self.label, self.status = label, status


class NotesPage:
    """`/line/…/notes`, `/line/…/notes/NUMBER`: both by a form with a token."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/line/{tenant}/{probe}/{line}/notes", self.write, methods=["POST"]),
            Route(
                "/line/{tenant}/{probe}/{line}/notes/{number:entry_number}",
                self.change,
                methods=["POST"],
            ),
        ]

    async def write(self, request: Request) -> Response:
        """Write a note (`starts`, `ends`, `text`)."""
        fields = await self._context.form(request)
        return await run_in_threadpool(self._write, request, fields)

    async def change(self, request: Request) -> Response:
        """Correct or withdraw (`do`) a note whose last entry is `last`."""
        fields = await self._context.form(request)
        return await run_in_threadpool(self._change, request, fields)

    def _write(self, request: Request, fields: dict[str, str]) -> Response:
        line = line_of_path(request, self._model.lines())
        user = self._context.require(request, Permission.NOTE_LINES, line.commune_code)
        try:
            entry = self._entry(fields, line, user)
            self._store(entry, 0)
        except NoteRefusedError as refused:
            return self._again(request, line, fields, refused)
        return self._done(request, fields, line, user, "note_line", entry.text)

    def _change(self, request: Request, fields: dict[str, str]) -> Response:
        line, doing = line_of_path(request, self._model.lines()), fields.get("do", "")
        if doing not in {"correct", "withdraw"}:
            raise HTTPException(400, "`do` is correct or withdraw")
        note = self._note(request, line)
        user = self._require(request, note, line)
        try:
            entry = self._further(note, fields, line, user)
            self._store(entry, _entry_number(fields.get("last", "")))
        except NoteRefusedError as refused:
            return self._again(request, line, fields, refused, self._note(request, line))
        detail = f"{note.number}: {note.last.text}"
        if doing == "correct":
            detail = f"{detail} → {entry.text}"
        return self._done(request, fields, line, user, f"{doing}_note", detail)

    def _further(
        self, note: LineNote, fields: dict[str, str], line: KnownLine, user: User
    ) -> NoteEntry:
        """The entry that corrects or withdraws a note."""
        if note.last.withdrawn:
            raise NoteRefusedError("note_problem_withdrawn", 409)
        if fields["do"] == "correct":
            return self._entry(fields, line, user, note)
        return structs.replace(
            note.last,
            note=note.number,
            author=user.name,
            written_at=self._model.now(),
            withdrawn=True,
        )

    def _again(
        self,
        request: Request,
        line: KnownLine,
        fields: dict[str, str],
        refused: NoteRefusedError,
        note: LineNote | None = None,
    ) -> Response:
        """The form with what was typed; of a correction, what the note says now."""
        return self._context.render(
            request,
            "note_form.html",
            status=refused.status,
            line=line,
            address=line_address(line.key),
            form=view.refused_form(fields, refused.label, note, self._context.locale(request)),
            back=self._back(fields, line),
        )

    def _require(self, request: Request, note: LineNote, line: KnownLine) -> User:
        """Its author, or who may correct everybody's."""
        user = self._context.require(request, Permission.NOTE_LINES, line.commune_code)
        if note.first.author != user.name:
            return self._context.require(request, Permission.CORRECT_NOTES, line.commune_code)
        return user

    def _entry(
        self, fields: dict[str, str], line: KnownLine, user: User, corrected: LineNote | None = None
    ) -> NoteEntry:
        now = self._model.now()
        try:
            entry = view.entry_of(fields, line.key, user.name, now, corrected)
        except ValueError as error:
            raise NoteRefusedError("note_problem_time", 422) from error
        if problem := line_notes.problem(entry, now):
            raise NoteRefusedError(f"note_problem_{problem}", 422)
        return entry

    def _store(self, entry: NoteEntry, after: int) -> None:
        try:
            self._model.store.notes.write(entry, after)
        except NoteConflictError as error:
            why = "note_problem_changed" if entry.note else "note_problem_full"
            raise NoteRefusedError(why, 409) from error

    def _done(
        self,
        request: Request,
        fields: dict[str, str],
        line: KnownLine,
        user: User,
        action: str,
        detail: str,
    ) -> Response:
        self._context.audit(request, user.name, action, "/".join(line.key), detail)
        return RedirectResponse(f"{self._back(fields, line)}#notes", 303)

    def _back(self, fields: dict[str, str], line: KnownLine) -> str:
        """The page of the line from which the form was sent."""
        home, back = line_address(line.key), local_path(fields.get("back", ""))
        return back if back.startswith(home) else home

    def _note(self, request: Request, line: KnownLine) -> LineNote:
        number = int(request.path_params["number"])
        notes = self._model.store.notes.of_line(line.key)
        return found_or_404(next((one for one in notes if one.number == number), None), "such note")


def _entry_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MOST else 0
