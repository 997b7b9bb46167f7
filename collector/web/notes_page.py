"""Floor 3. The forms of a line's notes: write one, correct it, withdraw it."""

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
        entry = self._entry(fields, line, user)
        self._store(entry, 0)
        return self._done(request, fields, line, user, "note_line", entry.text)

    def _change(self, request: Request, fields: dict[str, str]) -> Response:
        line = line_of_path(request, self._model.lines())
        number = int(request.path_params["number"])
        notes = self._model.store.notes.of_line(line.key)
        note = found_or_404(next((one for one in notes if one.number == number), None), "such note")
        user = self._require(request, note, line)
        doing = fields.get("do", "")
        if doing == "correct":
            entry = self._entry(fields, line, user, note)
        elif doing == "withdraw":
            entry = structs.replace(
                note.last,
                note=note.number,
                author=user.name,
                written_at=self._model.now(),
                withdrawn=True,
            )
        else:
            raise HTTPException(400, "`do` is correct or withdraw")
        last = fields.get("last", "")
        if last != str(note.last.number):
            raise self._context.refused(409, "note_problem_changed")
        self._store(entry, note.last.number)
        detail = f"{number}: {note.last.text}" + (f" → {entry.text}" if doing == "correct" else "")
        return self._done(request, fields, line, user, f"{doing}_note", detail)

    def _require(self, request: Request, note: LineNote, line: KnownLine) -> User:
        """Its author, or who may correct everybody's."""
        user = self._context.require(request, Permission.NOTE_LINES, line.commune_code)
        if note.last.withdrawn:
            raise self._context.refused(409, "note_problem_withdrawn")
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
            raise self._context.refused(422, "note_problem_time") from error
        if problem := line_notes.problem(entry, now):
            raise self._context.refused(422, f"note_problem_{problem}")
        return entry

    def _store(self, entry: NoteEntry, after: int) -> None:
        try:
            self._model.store.notes.write(entry, after)
        except NoteConflictError as error:
            why = "note_problem_changed" if entry.note else "note_problem_full"
            raise self._context.refused(409, why) from error

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
        home = line_address(line.key)
        back = local_path(fields.get("back", ""))
        return RedirectResponse(f"{back if back.startswith(home) else home}#notes", 303)
