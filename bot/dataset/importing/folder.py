"""Import a folder of photos with sidecar files, through the same storage as everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, UsageError
from bot.core.events import Post
from bot.dataset.export.imagefolder import LINES, NAME
from bot.dataset.importing.exported import exported
from bot.dataset.importing.table import Table, of_file, of_row, rows
from bot.dataset.lookup import check_name
from bot.platforms import registry
from bot.service.app import App, opened
from bot.service.progress import progress
from bot.sidecars.files import Unusable, parse, read, read_json, shown, walk
from bot.sidecars.files import opened as opened_file
from bot.sidecars.sidecar import IMAGES, Sidecar, Tool, merged
from models.base import ImageRejected
from models.images.decoder import decode
from storage import dataset, datasets
from storage.dataset import Fetched
from storage.tables import AuthorRow, MediaRow, MediaState, OptOut

BATCH = 16  # posts in one transaction
LONGEST_LINE = 1_000_000  # bytes of metadata.jsonl
METADATA = (NAME, LINES)  # of our own exports
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
IMAGE = "images without a sidecar (FILE.jpg needs FILE.jpg.json, FILE.json or FILE.json.xz)"
ALONE = "sidecars without an image beside them, as of videos"
NO_POST = "files of instaloader that describe no post"
OTHER = "other files"
_Ref = tuple[Path, int]  # a sidecar, or a line of metadata.jsonl by its place in the file


@dataclass(slots=True)
class ImportReport:
    """What was imported by this run; a second run imports nothing new."""

    posts: int = 0
    images: int = 0
    known: int = 0  # posts that were stored already
    kept_out: int = 0  # posts that were forgotten, or whose author opted out
    problems: list[tuple[str, str]] = field(default_factory=list)  # (file, what is wrong with it)
    passed_over: dict[str, int] = field(default_factory=dict)  # kind of file → how many

    @property
    def nothing(self) -> bool:
        """Whether no post of the folder is stored, or kept out."""
        return not (self.posts or self.images or self.known or self.kept_out)

    def why(self) -> str:
        """Which files brought nothing."""
        kinds = [f"{count} {kind}" for kind, count in self.passed_over.items()]
        kinds += [f"{len(self.problems)} files that cannot be used"] if self.problems else []
        return "; ".join(kinds) or "the folder is empty"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def take(
    settings: Settings, path: Path, into: str, *, table: Table | None = None, plain: bool = False
) -> ImportReport:
    """Store the posts of a folder. A bad file never makes this fail; it becomes a problem.

    `table`: its rows name the images of the folder; `plain`: every image is a post. Raises
    UsageError if it is not a folder, StorageError, and NothingToDo if nothing was imported though
    no file is bad; the message says what the files are.
    """
    check_name(into)
    root = path.resolve()
    if not root.is_dir():
        raise UsageError(f"{path} is not a folder")
    listed = None if table is None else (table.path, rows(table))
    with opened(settings) as app:
        return _Import(app, root, into, listed, plain=plain).run()


class _Import:
    def __init__(
        self,
        app: App,
        root: Path,
        into: str,
        table: tuple[Path, list[dict[str, Any]]] | None = None,
        *,
        plain: bool = False,
    ) -> None:
        self._app = app
        self._table, self._plain = table, plain
        self._root = root
        self._into = into
        self._report = ImportReport()
        self._kinds: Counter[str] = Counter()  # files that bring nothing by themselves

    def run(self) -> ImportReport:
        posts: dict[tuple[str, str], list[_Ref]] = {}
        for ref in self._refs():
            if (part := self._part(ref)) is not None:
                self._kinds[IMAGE] -= len(part.files)
                self._kinds[ALONE] += not part.files
                posts.setdefault((part.post.platform, part.post.post_id), []).append(ref)
        batch: list[Sidecar] = []
        for refs in progress(list(posts.values()), "posts"):
            parts = [part for ref in refs if (part := self._part(ref)) is not None]
            if parts:
                batch.append(merged(parts))
            if len(batch) == BATCH:
                self._store(batch)
                batch = []
        self._store(batch)
        report = self._report
        report.problems = list(dict.fromkeys(report.problems))  # read twice, reported once
        report.passed_over = {kind: count for kind, count in self._kinds.items() if count > 0}
        if report.nothing and not report.problems:
            raise NothingToDo(f"nothing imported from {self._root}: {report.why()}")
        return report

    def _refs(self) -> Iterator[_Ref]:
        if self._table is not None:
            path, listed = self._table
            yield from ((path, number) for number in range(len(listed)))
            return
        for path in walk(self._root):
            if self._plain:
                if path.suffix.lower() in IMAGES:
                    yield path, -1
                else:
                    self._kinds[OTHER] += 1
            elif path.name in METADATA:
                yield from self._lines(path)
            elif path.name.endswith((".json", ".json.xz")) and not _no_sidecar(path.name):
                yield path, -1
            else:
                self._kinds[IMAGE if path.suffix.lower() in IMAGES else OTHER] += 1

    def _lines(self, path: Path) -> Iterator[_Ref]:
        try:
            with opened_file(path) as file:
                while True:
                    start = file.tell()
                    line = file.readline(LONGEST_LINE + 1)
                    if not line:
                        return
                    if len(line) > LONGEST_LINE:
                        self._problem(path, "a line is too long; the rest is not read")
                        return
                    if line.strip():
                        yield path, start
        except Unusable as error:
            self._problem(path, str(error))

    def _part(self, ref: _Ref) -> Sidecar | None:
        path, start = ref
        try:
            if self._table is not None:
                return of_row(self._root, self._table[1][start])
            if self._plain:
                return of_file(self._root, path)
            if start >= 0:
                with opened_file(path) as file:
                    file.seek(start)
                    return exported(self._root, path, parse(file.readline(LONGEST_LINE)))
            data = read_json(path)
            part = _tool_of(data).read(path, data)
        except Unusable as error:
            row = "" if self._table is None else f"row {start + 1}: "
            self._problem(path, f"{row}{error}")
            return None
        self._kinds[NO_POST] += part is None
        return part

    def _store(self, batch: list[Sidecar]) -> None:
        """Read what is missing, then all of it in one transaction."""
        with self._app.database.read() as session:
            gone = self._opted_out(session, batch)
            have = {self._key(part): self._stored(session, part) for part in batch}
        images = {
            self._key(part): self._images(part, have[self._key(part)])
            for part in batch
            if self._key(part) not in gone
        }
        with self._app.database.write() as session:
            gone = self._opted_out(session, batch)  # a person may have opted out meanwhile
            for part in batch:
                if self._key(part) in gone:
                    self._report.kept_out += 1
                else:
                    self._add(session, part.post, images.get(self._key(part), []))

    def _add(self, session: Session, post: Post, images: list[Fetched]) -> None:
        now = utc_now()
        known = dataset.known(session, post.platform, [post.post_id])
        if known:
            row = known[post.post_id]
            self._report.known += 1
            self._report.images += dataset.add_media(session, row, images, now)
        elif not images:
            return  # a video, or images that cannot be used
        else:
            row = dataset.add(session, _as_known(session, post), images, now)
            self._report.posts += 1
            self._report.images += len(images)
        dataset.found_by(session, row, f"import:{self._into}", self._into, "imported", now)

    def _images(self, part: Sidecar, have: set[int]) -> list[Fetched]:
        found = []
        for media in part.post.media:
            path = part.files[media.index]
            if media.index in have:
                continue
            try:
                limit = self._app.settings.limits.max_image_bytes
                data = read(path, limit, part.hashes.get(media.index))
                image = decode(data, max_pixels=self._app.settings.limits.max_pixels)
            except (Unusable, ImageRejected) as error:
                self._problem(path, str(error))
                continue
            height, width = image.pixels.shape[:2]
            sha256 = self._app.originals.put(data)
            mime = _MIME.get(image.format, "application/octet-stream")
            notes = " ".join(image.notes)
            found.append(
                Fetched(
                    media, MediaState.STORED, sha256, len(data), mime, width, height, notes=notes
                )
            )
        return found

    def _stored(self, session: Session, part: Sidecar) -> set[int]:
        """The images of a post that are stored."""
        known = dataset.known(session, part.post.platform, [part.post.post_id])
        statement = select(MediaRow.index).where(
            col(MediaRow.post).in_(known.values()), MediaRow.state == MediaState.STORED
        )
        return set(session.exec(statement))

    def _opted_out(self, session: Session, batch: list[Sidecar]) -> set[tuple[str, str]]:
        """Posts that were forgotten, or whose author was: by user id and by pseudonym."""
        gone = set()
        for platform in {part.post.platform for part in batch}:
            here = [part.post for part in batch if part.post.platform == platform]
            posts = {post.post_id: post.author.user_id for post in here}
            out = self._app.optouts.unwelcome(session, platform, posts)
            if any(who.startswith(datasets.PSEUDONYM) for who in posts.values()):
                left = _pseudonyms(session)
                out |= {post_id for post_id, who in posts.items() if who in left}
            gone |= {(platform, post_id) for post_id in out}
        return gone

    def _problem(self, path: Path, why: str) -> None:
        self._report.problems.append((shown(path, self._root), why))

    @staticmethod
    def _key(part: Sidecar) -> tuple[str, str]:
        return part.post.platform, part.post.post_id


def _no_sidecar(name: str) -> bool:
    """Files in such folders that describe no post."""
    return name == "croissant.json" or name.endswith(("_comments.json", "_location.json"))


def _as_known(session: Session, post: Post) -> Post:
    """A sidecar may be old or have no name; then our own record of the person is newer."""
    row = session.get(AuthorRow, (post.platform, post.author.user_id))
    name = post.author.username or post.author.user_id
    author = replace(post.author, username=name)
    if row is not None:
        author = replace(
            author, username=row.username, full_name=row.full_name, is_private=row.is_private
        )
    return replace(post, author=author)


def _pseudonyms(session: Session) -> set[str]:
    """Pseudonyms of all people who opted out, in every dataset that was ever frozen here."""
    gone = session.exec(select(OptOut.digest)).all()
    return {datasets.pseudonym(key, one) for key in datasets.keys(session) for one in gone}


def _tool_of(data: dict[str, Any]) -> Tool:
    """The tool that wrote a sidecar, of any platform. Raises Unusable."""
    tools = [tool for one in registry.descriptors() for tool in one.tools]
    found = next((tool for tool in tools if tool.wrote(data)), None)
    if found is None and isinstance(data.get("category"), str):
        known = ", ".join(one.name for one in registry.descriptors() if one.tools)
        raise Unusable(f"of {data['category'][:40]!r}; only {known} can be imported")
    if found is None:
        names = " or ".join(dict.fromkeys(sorted(tool.name for tool in tools)))
        raise Unusable(f"not a sidecar of {names}")
    return found
