"""Settings: what is accepted, what it becomes, and how each mistake is told."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.config import Settings, TrackSettings, changes, load, parse
from bot.config.settings import SECTIONS
from bot.config.source import SECTION_SECRETS
from bot.core.errors import ConfigError
from bot.core.events import TrackKind
from bot.flow.quiet_hours import QuietHours
from bot.platforms import registry
from bot.platforms.instagram.kinds import Mode
from bot.platforms.pacing import TokenRate
from bot.service.app import policy_of, rates_of
from models.compose.styles import styles
from tests.paths import EXAMPLE

ACCOUNT = '[accounts.main]\nplatform = "instagram"\nusername = "imagebot"\n'
CONTRACT = (
    """[data]
dir = "data"                       # database, originals, models, logs
# url = "postgresql+psycopg://..."
"""
    + ACCOUNT
    + """proxy = "http://127.0.0.1:8899"    # optional
ca_file = "ca.pem"                 # optional
media_hosts = ["*.cdninstagram.com", "127.0.0.1:8480"]
request_delay = [1.0, 3.0]         # seconds between requests; 0 allowed
[[tracks]]
account = "main"
hashtag = "sunset"                 # or profile = "name"
every = "15m"
dataset = "sunsets"
reply = "tint"                     # optional style: its posts become triggers
[replies]
mode = "post"                      # post | story | dm
approval = true
max_age = "24h"
per_day = 20
per_author_per_day = 1
quiet_hours = "23:00-07:00"
time_zone = "UTC"
"""
)
STYLES = ("tint", "outline", "sticker")
MODES = ", ".join(dict.fromkeys(m.name for p in registry.descriptors() for m in p.ways.modes))
SECRET = "hunter2-correct-horse"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaints(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, Path("config.toml"), environ or {}, styles=STYLES)
    return str(raised.value).splitlines()


# --- what is accepted ---


def test_the_contract_block(write: Write, tmp_path: Path) -> None:
    config = load(write(CONTRACT), {}, styles=STYLES)
    assert config.data.dir == tmp_path / "data"
    assert config.data.database_url == f"sqlite:///{tmp_path}/data/tagecho.db"
    main = config.accounts["main"]
    assert (main.platform, main.username, main.password) == ("instagram", "imagebot", None)
    assert main.proxy is not None
    assert main.proxy.get_secret_value() == "http://127.0.0.1:8899"
    assert main.ca_file == tmp_path / "ca.pem"
    assert main.media_hosts == ("*.cdninstagram.com", "127.0.0.1:8480")
    assert main.request_delay == (1.0, 3.0)
    (track,) = config.tracks
    assert (track.kind, track.name, track.dataset) == (TrackKind.HASHTAG, "sunset", "sunsets")
    assert (track.every, track.reply) == (timedelta(minutes=15), "tint")
    assert track.key == "main:hashtag:sunset"
    assert config.replies.mode == Mode.POST
    assert config.replies.max_age == timedelta(days=1)


def test_an_empty_file_is_all_defaults(write: Write, tmp_path: Path) -> None:
    config = load(write(""), {})
    assert config.data.dir == tmp_path / "data"
    assert config.replies.approval is True
    assert config.replies.dry_run is False
    assert config.replies.quiet_hours is None
    assert dict(config.pacing)["publish"] == "default"
    assert config.limits.max_image_bytes == 20_000_000
    assert config.health.address == ("127.0.0.1", 8490)


def test_the_example_is_valid_and_states_the_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    example = parse(text, tmp_path / "config.toml", {}, styles=("auto", *styles()))
    plain = parse(ACCOUNT, tmp_path / "config.toml", {})
    differing = [line.split(":")[0] for line in diff(plain, example) if "track " not in line]
    assert differing == ["replies.quiet_hours"]  # where its comment says so


def test_the_example_documents_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for section, model in MODELS:
        begins = re.search(rf"^\[+{section}\b.*$", text, re.MULTILINE)
        assert begins, section
        body = re.split(rf"^\[+(?!\[|{section}\b)", text[begins.start() :], flags=re.MULTILINE)[0]
        for key in model.model_fields:
            if section == "accounts" and key in registry.secret_names():
                assert f"TAGECHO_ACCOUNTS__MAIN__{key.upper()}_FILE" in text
            elif (section, key) in SECTION_SECRETS:
                variable = f"TAGECHO_{section}__{key}".upper()
                assert variable in text or f"secrets/{section}.{key}" in text
            else:
                assert re.search(rf"^(# )?{key} = ", body, re.MULTILINE), f"{section}.{key}"


def test_settings_are_frozen() -> None:
    config = parse(CONTRACT, Path("config.toml"), {})
    with pytest.raises(ValidationError, match="frozen"):
        config.replies.dry_run = True


@pytest.mark.parametrize(
    ("line", "expected"),
    [("0", (0, 0)), ("2", (2, 2)), ("[0, 0]", (0, 0)), ('"0.5,1"', (0.5, 1))],
)
def test_request_delay(line: str, expected: tuple[float, float]) -> None:
    config = parse(f"{ACCOUNT}request_delay = {line}", Path("config.toml"), {})
    assert config.accounts["main"].request_delay == expected


@pytest.mark.parametrize("line", ["false", '"0"', "0", '"off"'])
def test_polling_for_mentions_can_be_off(line: str) -> None:
    config = parse(f"{ACCOUNT}mentions_every = {line}", Path("config.toml"), {})
    assert config.accounts["main"].mentions_every is None


def test_hashtags_and_names_are_normalised() -> None:
    text = ACCOUNT + (
        '[[tracks]]\naccount = "main"\nhashtag = "#Cafe\u0301"\n'
        '[[tracks]]\naccount = "main"\nprofile = "@Some.Name"\n'
        '[replies]\nopt_in_hashtags = "#TintMe"\nignore = ["@Other.Bot", "12345"]\n'
    )
    config = parse(text, Path("config.toml"), {})
    assert [track.key for track in config.tracks] == ["main:hashtag:café", "main:profile:some.name"]
    assert [track.dataset for track in config.tracks] == ["café", "some.name"]
    assert config.replies.opt_in_hashtags == ("tintme",)
    assert config.replies.ignore == ("other.bot", "12345")


def test_quiet_hours_are_local() -> None:
    text = '[replies]\nquiet_hours = "23:00-07:00"\ntime_zone = "Asia/Tokyo"\n'
    settings = parse(text, Path("config.toml"), {})
    policy = policy_of(settings)
    seven = datetime(2026, 1, 1, 22, tzinfo=UTC)  # in Tokyo
    assert policy.quiet_until(datetime(2026, 1, 1, 15, tzinfo=UTC)) == seven  # from midnight there
    assert policy.quiet_until(seven) is None
    assert settings.replies.quiet_hours == QuietHours(time(23), time(7))
    always = policy_of(parse("", Path("config.toml"), {}))
    assert always.quiet_until(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:///x.db", "sqlite:////etc/tagecho/x.db"),
        ("sqlite:////abs/x.db", "sqlite:////abs/x.db"),
        ("", "sqlite:////etc/tagecho/data/tagecho.db"),
    ],
)
def test_database_urls(written: str, used: str) -> None:
    text = f'[data]\nurl = "{written}"\n'
    assert parse(text, Path("/etc/tagecho/config.toml"), {}).data.database_url == used


@pytest.mark.parametrize(
    ("listen", "address"),
    [("", None), ("[::1]:80", ("::1", 80)), ("localhost:0", ("localhost", 0))],
)
def test_health_address(listen: str, address: tuple[str, int] | None) -> None:
    text = f'[health]\nlisten = "{listen}"\n'
    assert parse(text, Path("config.toml"), {}).health.address == address


def test_remote_health_must_be_meant() -> None:
    text = '[health]\nlisten = "0.0.0.0:80"\n'
    assert complaints(text) == [
        "config.toml:2: health.listen: is open to other machines; "
        "set allow_remote = true to mean it"
    ]
    config = parse(text + "allow_remote = true\n", Path("config.toml"), {})
    assert config.health.address == ("0.0.0.0", 80)


def test_no_limit_on_a_class_of_actions() -> None:
    assert dict(parse('[pacing]\nread = "off"\n', Path("config.toml"), {}).pacing)["read"] is None


# --- how mistakes are told ---


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[repliess]", '1: repliess: unknown key (did you mean "replies"?)'),
        ("[replies]\nper_dya = 1", '2: replies.per_dya: unknown key (did you mean "per_day"?)'),
        ("[data]\nper_day = 1", "2: data.per_day: unknown key (it belongs in [replies])"),
        ("replies = { per_dya = 1 }", '1: replies.per_dya: unknown key (did you mean "per_day"?)'),
        ("\nreplies.per_dya = 1", '2: replies.per_dya: unknown key (did you mean "per_day"?)'),
        ('[replies]\n"a\\nb" = 1', '2: replies."a\\nb": unknown key'),
        ("[replies]\nper_day = true", "2: replies.per_day: must be a whole number"),
        ("[replies]\nper_day = 1.5", "2: replies.per_day: must be a whole number"),
        ("[replies]\nper_day = -1", "2: replies.per_day: must be greater than or equal to 0"),
        ("[replies]\napproval = 'perhaps'", "2: replies.approval: must be true or false"),
        ("[replies]\ncomment = 3", "2: replies.comment: must be text in quotes"),
        (
            "[replies]\nreconcile = '20s'",
            '2: replies.reconcile: must be two durations, such as ["20s", "2m"]',
        ),
        ("[replies]\nmax_age = '0'", "2: replies.max_age: must be longer than 0"),
        (
            "[replies]\nmode = 'stroy'",
            f'2: replies.mode: "stroy" is not one of {MODES} (did you mean "story"?)',
        ),
        (
            "[replies]\nmode = 'POST'",
            f'2: replies.mode: "POST" is not one of {MODES} (did you mean "post"?)',
        ),
        (
            "[replies]\nfallback = [\n 'dm',\n 'pots']",
            f'4: replies.fallback[1]: "pots" is not one of {MODES} (did you mean "post"?)',
        ),
        (
            "[replies]\nmode = 'dm'\nfallback = ['dm']",
            "3: replies.fallback: names a way twice, or the one that mode names",
        ),
        (
            "[replies]\nstyle = 'tnit'",
            '2: replies.style: "tnit" is not one of tint, outline, sticker (did you mean "tint"?)',
        ),
        (
            "[replies]\ntime_zone = 'Europe/Berln'",
            '2: replies.time_zone: "Europe/Berln" is not a time zone '
            '(did you mean "Europe/Berlin"?)',
        ),
        ("[replies]\ntime_zone = '../x'", '2: replies.time_zone: "../x" is not a time zone'),
        (
            "[replies]\nquiet_hours = '7-8'",
            '2: replies.quiet_hours: "7-8" is not a span of hours such as "23:00-07:00"',
        ),
        (
            "[replies]\ncaption = 'no link'",
            "2: replies.caption: must contain {url}: the reply is found again by it",
        ),
        (
            "[replies]\ncomment = '{author.name}'",
            "2: replies.comment: unknown {author.name}; there are {author}, {style}, {url}",
        ),
        (
            "[replies]\ncomment = '{url!r}'",
            "2: replies.comment: placeholders are plain: {author}, {style}, {url}",
        ),
        (
            "[replies]\ncomment = '{'",
            "2: replies.comment: is not a template: Single '{' encountered in format string",
        ),
        (
            "[limits]\nmax_image_bytes = '20XB'",
            '2: limits.max_image_bytes: "20XB" is not a size such as "20MB" or "512KiB"',
        ),
        (
            "[pacing]\nread = '20'",
            '2: pacing.read: "20" is not a rate such as "20/d", "6/h", "200/15m" or "off"',
        ),
        (
            "[log]\nlevel = 'inof'",
            '2: log.level: "inof" is not one of debug, info, warning, error (did you mean "info"?)',
        ),
        ("data = 3", "1: data: must be a table"),
        ("accounts = 3", "1: accounts: must be a table"),
        ("[tracks]", "1: tracks: must be a list: write [[tracks]] in two brackets"),
        (
            "[accounts.'Two Words']\nplatform = 'instagram'\nusername = 'x'",
            '1: accounts."Two Words": an account\'s name is made of a-z, 0-9 and single _',
        ),
        ("[data]\ndir = ''", "2: data.dir: is not a path"),
        ("[data]\ndir = 'a\\u0000b'".replace("'", '"'), "2: data.dir: is not a path"),
        (
            "[data]\nurl = 'mysql://me:pw@h'",
            '2: data.url: must begin with "postgresql://" or "sqlite:///"',
        ),
    ],
)
def test_one_mistake(text: str, complaint: str) -> None:
    assert complaints(text) == [f"config.toml:{complaint}"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("usernme = 'x'", 'usernme: unknown key (did you mean "username"?)'),
        ("proxy = 'me:pw@host'", 'proxy: must be a URL such as "http://127.0.0.1:8899"'),
        ("proxy = 'http://me:pw@h:x'", 'proxy: must be a URL such as "http://127.0.0.1:8899"'),
        (
            "media_hosts = ['http://x']",
            'media_hosts[0]: "http://x" is not a host such as "*.cdninstagram.com" '
            'or "127.0.0.1:8480"',
        ),
        (
            "request_delay = [3, 1]",
            "request_delay: must be two numbers of seconds, the smaller first, such as [1.0, 3.0]",
        ),
        ("timeout = 0", "timeout: must be longer than 0"),
    ],
)
def test_one_mistake_in_an_account(line: str, complaint: str) -> None:
    assert complaints(ACCOUNT + line) == [f"config.toml:4: accounts.main.{complaint}"]


@pytest.mark.parametrize(
    ("track", "complaint"),
    [
        ("hashtag = 'a'\nprofile = 'b'", "4: tracks[0]: needs exactly one of hashtag and profile"),
        ("", "4: tracks[0]: needs exactly one of hashtag and profile"),
        (
            "hashtag = 'a b'",
            "6: tracks[0].hashtag: \"a b\" is not a hashtag: ' ' cannot stand in one, "
            "so it would never be found",
        ),
        ("hashtag = 'a'\nevery = '0.5s'", "7: tracks[0].every: must be at least 1s"),
        (
            "hashtag = 'a'\nreply = 'outlin'",
            '7: tracks[0].reply: "outlin" is not one of tint, outline, sticker '
            '(did you mean "outline"?)',
        ),
        (
            "hashtag = 'a'\nreply = 'grade'",
            '7: tracks[0].reply: the style "grade" was removed; "swatches" is nearest to it',
        ),
        (
            "hashtag = 'a'\ndataset = '../x'",
            '7: tracks[0].dataset: "../x" is not a name',
        ),
    ],
)
def test_one_mistake_in_a_track(track: str, complaint: str) -> None:
    text = f"{ACCOUNT}[[tracks]]\naccount = 'main'\n{track}"
    assert complaints(text) == [f"config.toml:{complaint}"]


def test_what_is_missing_is_told_at_its_table() -> None:
    assert complaints("\n[accounts.main]\nplatform = 'instagram'\n[[tracks]]\nhashtag = 'a'") == [
        "config.toml:2: accounts.main.username: is missing",
        "config.toml:4: tracks[0].account: is missing",
    ]


def test_a_track_of_an_unknown_account() -> None:
    text = ACCOUNT + "[[tracks]]\naccount = 'mian'\nhashtag = 'a'"
    assert complaints(text) == [
        'config.toml:5: tracks[0].account: "mian" is not under [accounts] (did you mean "main"?)'
    ]


def test_the_same_track_twice() -> None:
    track = "[[tracks]]\naccount = 'main'\nhashtag = '{}'\n"
    text = ACCOUNT + track.format("sunset") + track.format("dawn") + track.format("#SunSet")
    assert complaints(text) == [
        'config.toml:10: tracks[2]: follows hashtag "sunset" again, as line 4'
    ]
    profile = "[[tracks]]\naccount = 'main'\nprofile = 'sunset'\n"
    assert len(parse(ACCOUNT + track.format("sunset") + profile, Path("c"), {}).tracks) == 2


def test_two_accounts_with_one_username() -> None:
    text = ACCOUNT + ACCOUNT.replace("main", "second").replace('"imagebot"', '"@ImageBot"')
    assert complaints(text) == [
        "config.toml:6: accounts.second.username: is the username of accounts.main too"
    ]


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    lines = complaints(
        "[replies]\nmode = 'pots'\n[accounts.main]\nplatform = 'instagram'\nusernme = 'x'\n"
        "[[tracks]]\naccount = 'mian'\nhashtag = 'a'\n[data]\ndri = 1\n",
        {"TAGECHO_LOG__LEVEL": "loud"},
    )
    assert [line.split(": ")[0] for line in lines] == [
        "config.toml:2",
        "config.toml:3",
        "config.toml:5",
        "config.toml:7",
        "config.toml:10",
        "TAGECHO_LOG__LEVEL",
    ]


def test_a_misspelt_platform_hides_nothing_else() -> None:
    text = "[accounts.main]\nplatform = 'instagrm'\nusernme = 'x'\nrequest_delay = 'soon'"
    assert complaints(text) == [
        "config.toml:1: accounts.main.username: is missing",
        'config.toml:2: accounts.main.platform: "instagrm" is not one of '
        f"{', '.join(registry.names())} "
        '(did you mean "instagram"?)',
        'config.toml:3: accounts.main.usernme: unknown key (did you mean "username"?)',
        "config.toml:4: accounts.main.request_delay: must be two numbers of seconds, the smaller "
        "first, such as [1.0, 3.0]",
    ]
    assert complaints("[accounts.main]\nusername = 'x'") == [
        "config.toml:1: accounts.main.platform: is missing"
    ]


def test_styles_are_not_judged_when_unknown() -> None:
    config = parse('[replies]\nstyle = "of tomorrow"', Path("config.toml"), {})
    assert config.replies.style == "of tomorrow"


# --- files that are no configuration ---


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = ", 2),
        ("[a", 1),
        ("a = 1\na = 2\n", 2),
        ('a = """x\ny\n\n', 2),
        ("a = 1\n\tx", 2),
    ],
)
def test_toml_syntax(text: str, line: int) -> None:
    (complaint,) = complaints(text)
    assert complaint.startswith(f"config.toml:{line}: not TOML: ")
    assert "(at" not in complaint


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "[" * 600 + "]" * 600])
def test_deep_nesting(text: str) -> None:
    assert len(complaints(text)) == 1


def test_numbers_too_long_for_python() -> None:
    assert complaints(f"x = {'1' * 5000}")[0].startswith("config.toml:1: not TOML: ")
    assert complaints(f"[replies]\nper_day = 0x{'f' * 5000}")
    assert complaints(f"[replies]\nmax_age = 0x{'f' * 5000}") == [
        'config.toml:2: replies.max_age: that number is not a duration such as "30s", "15m", '
        '"24h" or "2d"'
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match=r"config\.toml: no such file$"):
        load(path, {})
    with pytest.raises(ConfigError, match=r"is a folder, not a file$"):
        load(tmp_path, {})
    path.write_bytes(b"[data]\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"config\.toml:2: is not UTF-8 text$"):
        load(path, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nul\0", {})


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CONTRACT.replace("\n", "\r\n").encode())
    assert load(path, {}).tracks[0].name == "sunset"


# --- the environment ---


def test_the_environment_wins(write: Write, tmp_path: Path) -> None:
    config = load(
        write(CONTRACT),
        {
            "TAGECHO_REPLIES__DRY_RUN": "true",
            "TAGECHO_REPLIES__PER_DAY": "5",
            "TAGECHO_REPLIES__FALLBACK": "dm, story",
            "TAGECHO_DATA__DIR": "elsewhere",
            "TAGECHO_ACCOUNTS__MAIN__CA_FILE": "other.pem",
            "TAGECHO_ACCOUNTS__MAIN__REQUEST_DELAY": "0,0",
            "TAGECHO_ACCOUNTS__MAIN__PROXY": "",
            "TAGECHO_LIMITS__MAX_IMAGE_BYTES": "1MB",
            "TAGECHO_TEST_POSTGRES": "no key: one underscore",
            "OTHER__THING": "1",
        },
    )
    assert config.replies.dry_run is True
    assert config.replies.per_day == 5
    assert config.replies.fallback == (Mode.DM, Mode.STORY)
    assert config.data.dir == tmp_path / "elsewhere"
    assert config.accounts["main"].ca_file == tmp_path / "other.pem"
    assert config.accounts["main"].request_delay == (0, 0)
    assert config.accounts["main"].proxy is None
    assert config.limits.max_image_bytes == 1_000_000


def test_an_account_can_live_in_the_environment() -> None:
    environ = {
        "TAGECHO_ACCOUNTS__SIDE__PLATFORM": "instagram",
        "TAGECHO_ACCOUNTS__SIDE__USERNAME": "side.bot",
    }
    config = parse("", Path("config.toml"), environ)
    assert config.accounts["side"].username == "side.bot"


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        (
            "REPLIES__MODE",
            "pots",
            'replies.mode: "pots" is not one of post, story, dm (did you mean "post"?)',
        ),
        ("REPLIES__PER_DYA", "1", 'replies.per_dya: unknown key (did you mean "per_day"?)'),
        ("REPLYS__PER_DAY", "1", 'replys: unknown key (did you mean "replies"?)'),
        ("TRACKS__0__EVERY", "1m", "tracks.0.every: tracks are set in the file only"),
        ("REPLIES__MODE__X", "1", "replies.mode: is not a table"),
        (
            "ACCOUNTS__MIAN__PASSWORD",
            SECRET,
            'accounts.mian: there is no such account in the file (did you mean "main"?)',
        ),
        (
            "ACCOUNTS__MAIN__TOTP_SECRET",
            "18",
            "accounts.main.totp_secret: is not a base32 secret (letters A-Z and digits 2-7)",
        ),
        (
            "ACCOUNTS__MAIN__PASSWORD_FILE",
            "gone",
            "accounts.main.password: the secret file cannot be read: No such file or directory",
        ),
        ("ACCOUNTS__OTHER", "1", "accounts.other: must be a table"),
        (
            "ACCOUNTS__MAIN__MEDIA_HOSTS",
            ":",
            'accounts.main.media_hosts[0]: ":" is not a host such '
            'as "*.cdninstagram.com" or "127.0.0.1:8480"',
        ),
    ],
)
def test_mistakes_in_the_environment_name_the_variable(
    variable: str, value: str, complaint: str
) -> None:
    assert complaints(CONTRACT, {f"TAGECHO_{variable}": value}) == [
        f"TAGECHO_{variable}: {complaint}"
    ]


# --- secrets ---


def test_secrets_from_variables_and_files(write: Write, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"  {SECRET}\n\r\n")
    (tmp_path / "pw").chmod(0o600)
    (tmp_path / "url").write_text(f"postgresql://me:{SECRET}@h/d\r\n")
    (tmp_path / "url").chmod(0o600)
    config = load(
        write(CONTRACT),
        {
            "TAGECHO_ACCOUNTS__MAIN__PASSWORD_FILE": "pw",  # relative to the config file
            "TAGECHO_ACCOUNTS__MAIN__TOTP_SECRET": "jbsw y3dp-ehpk 3pxp",
            "TAGECHO_DATA__URL_FILE": str(tmp_path / "url"),
        },
    )
    main = config.accounts["main"]
    assert main.password is not None
    assert main.password.get_secret_value() == f"  {SECRET}\n"  # one line end is stripped, no more
    assert main.totp_secret is not None
    assert main.totp_secret.get_secret_value() == "JBSWY3DPEHPK3PXP"
    assert config.data.database_url == f"postgresql+psycopg://me:{SECRET}@h/d"


def test_an_empty_secret_is_not_set(write: Write) -> None:
    environ = {
        "TAGECHO_ACCOUNTS__MAIN__PASSWORD": "",
        "TAGECHO_ACCOUNTS__MAIN__TOTP_SECRET_FILE": "",
    }
    main = load(write(CONTRACT), environ).accounts["main"]
    assert (main.password, main.totp_secret) == (None, None)


def test_a_secret_set_twice(write: Write, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(SECRET)
    variable = "TAGECHO_ACCOUNTS__MAIN__PASSWORD"
    with pytest.raises(ConfigError) as raised:
        load(write(CONTRACT), {variable: "x", f"{variable}_FILE": "pw"})
    expected = f"{variable}_FILE: accounts.main.password: is set twice, here and by {variable}"
    assert str(raised.value) == expected


def test_secrets_beside_the_file(write: Write, tmp_path: Path) -> None:
    """Used where the environment says nothing; it wins, and a verb without secrets reads none."""
    file = tmp_path / "secrets" / "main.password"
    file.parent.mkdir(mode=0o700)
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    file.chmod(0o600)
    path, variable = write(CONTRACT), "TAGECHO_ACCOUNTS__MAIN__PASSWORD"
    for environ, expected in ({}, SECRET), ({variable: "other"}, "other"), ({variable: ""}, SECRET):
        password = load(path, environ).accounts["main"].password
        assert password is not None
        assert password.get_secret_value() == expected
    assert load(path, {}, secrets="none").accounts["main"].password is None
    file.write_text("\n", encoding="utf-8")
    assert load(path, {}, secrets="none").accounts["main"].password is None
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert str(raised.value) == f"{file}: accounts.main.password: the secret file is empty"


@pytest.mark.parametrize("line_end", [b"", b"\r\n"])
def test_the_mark_that_some_editors_write_is_no_part_of_a_secret(
    write: Write, tmp_path: Path, line_end: bytes
) -> None:
    (tmp_path / "pw").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + line_end)
    (tmp_path / "pw").chmod(0o600)
    main = load(write(CONTRACT), {"TAGECHO_ACCOUNTS__MAIN__PASSWORD_FILE": "pw"}).accounts["main"]
    assert main.password is not None
    assert main.password.get_secret_value() == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_a_useless_secret_file(write: Write, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pw").write_bytes(content)
    (tmp_path / "pw").chmod(0o600)
    with pytest.raises(
        ConfigError, match=r"^TAGECHO_\w+: accounts.main.password: the secret file is"
    ):
        load(write(CONTRACT), {"TAGECHO_ACCOUNTS__MAIN__PASSWORD_FILE": "pw"})


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_an_open_secret_file_is_warned_about(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    (tmp_path / "pw").write_text(SECRET)
    (tmp_path / "pw").chmod(mode)
    with caplog.at_level(logging.WARNING):
        load(write(CONTRACT), {"TAGECHO_ACCOUNTS__MAIN__PASSWORD_FILE": "pw"})
    assert ("can be read by other users" in caplog.text) is warned
    assert SECRET not in caplog.text


@pytest.mark.parametrize("key", ["password", "password_file", "totp_secret", "totp_secret_file"])
def test_a_secret_in_the_file_is_an_error(key: str) -> None:
    variable = f"TAGECHO_ACCOUNTS__MAIN__{key.removesuffix('_file').upper()}"
    assert complaints(f"{ACCOUNT}{key} = '{SECRET}'") == [
        f"config.toml:4: accounts.main.{key}: no secrets in this file; "
        f"set {variable} or {variable}_FILE"
    ]


def test_where_notices_go_is_a_secret(write: Write, tmp_path: Path) -> None:
    urls = "mailto://bot:hunter2@example.com ntfy://topic\n"
    for key in ("urls", "urls_file"):
        with pytest.raises(ConfigError, match="no secrets in this file; set TAGECHO_NOTICES__URLS"):
            load(write(f'[notices]\n{key} = "ntfy://hunter2"\n'), {})
    path = write("")
    assert load(path, {}).notices.services == ()
    said = {"TAGECHO_NOTICES__URLS": urls}
    assert load(path, said).notices.services == tuple(urls.split())
    assert load(path, said, secrets="none").notices.services == ()
    assert "hunter2" not in repr(load(path, said))
    (tmp_path / "urls").write_text(urls)
    (tmp_path / "urls").chmod(0o600)
    assert len(load(path, {"TAGECHO_NOTICES__URLS_FILE": "urls"}).notices.services) == 2
    (tmp_path / "secrets").mkdir(mode=0o700)
    beside = tmp_path / "secrets" / "notices.urls"
    beside.write_text("ntfy://beside\n")
    beside.chmod(0o600)
    assert load(path, {}).notices.services == ("ntfy://beside",)
    assert load(path, said).notices.services == tuple(urls.split()), "the environment wins"
    with pytest.raises(ConfigError, match="address 2 is none") as caught:
        load(path, {"TAGECHO_NOTICES__URLS": "ntfy://a hunter2"})
    assert "hunter2" not in str(caught.value)


def test_no_secret_in_any_text() -> None:
    environ = {
        "TAGECHO_ACCOUNTS__MAIN__PASSWORD": SECRET,
        "TAGECHO_ACCOUNTS__MAIN__PROXY": f"http://me:{SECRET}@127.0.0.1:8899",
        "TAGECHO_DATA__URL": f"postgresql://me:{SECRET}@h/d",
    }
    config = parse(CONTRACT, Path("config.toml"), environ)
    assert config.accounts["main"].password is not None
    other = parse(CONTRACT, Path("config.toml"), {})
    texts = [
        repr(config),
        str(config),
        repr(config.model_dump()),
        config.model_dump_json(),
        *diff(config, other),
        *diff(other, config),
    ]
    assert "accounts.main.password: changed" in texts
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"{ACCOUNT}password = '{SECRET}'\ntotp_secret = '{SECRET}'\nx = 1", {}),
        (f"[accounts]\nmain = {{ password = '{SECRET}' }}", {}),
        (f"{ACCOUNT}proxy = 'http://me:{SECRET}@h:p'", {}),
        (f"{ACCOUNT}proxy = 'http://me:pw@h:{SECRET}'", {}),
        (f"[data]\nurl = 'mysql://me:{SECRET}@h'", {}),
        ("[data]\nurl = 3", {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": SECRET}),
        (ACCOUNT, {"TAGECHO_ACCOUNTS__MAIN__TOTP_SECRET": f"{SECRET}!"}),
        (ACCOUNT, {"TAGECHO_ACCOUNTS__MIAN__PASSWORD": SECRET}),
        (ACCOUNT, {"TAGECHO_ACCOUNTS__MAIN__PASSWORD__X": SECRET}),
        (ACCOUNT, {"TAGECHO_ACCOUNTS__MAIN__PASWORD": SECRET}),
        (ACCOUNT, {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": SECRET + "\udc80", "TAGECHO_X__Y": ""}),
    ],
)
def test_no_secret_in_any_error(text: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, Path("config.toml"), environ)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(raised.value.__context__)


# --- what changed ---


def diff(old: Settings, new: Settings) -> list[str]:
    return [str(change) for change in changes(old, new)]


def test_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    old = parse(CONTRACT, path, {})
    new = parse(
        CONTRACT.replace('every = "15m"', 'every = "1h30m"').replace("per_day = 20", "per_day = 5")
        + "dry_run = true\nfallback = ['dm']\n[[tracks]]\naccount = 'main'\nprofile = 'a'\n"
        + "[pacing]\nread = 'off'\n",
        path,
        {},
    )
    assert diff(old, new) == [
        'pacing.read: "default" → off',
        'replies.dry_run: false → true',
        'replies.fallback: none → "dm"',
        "replies.per_day: 20 → 5",
        "track main:hashtag:sunset.every: 15m → 1h30m",
        "track main:profile:a: added",
    ]  # fmt: skip
    assert diff(new, new) == []
    assert "track main:profile:a: removed" in diff(new, old)


def test_a_track_key_stays_when_the_rest_changes() -> None:
    one = TrackSettings.model_validate({"account": "main", "hashtag": "#Sunset", "dataset": "x"})
    two = TrackSettings.model_validate({"account": "main", "hashtag": "sunset", "every": "1h"})
    assert one.key == two.key


# --- nothing but ConfigError ---


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The example with a few slices replaced by other slices, punctuation or junk."""
    text = EXAMPLE.read_text(encoding="utf-8") if draw(st.booleans()) else CONTRACT
    for _ in range(draw(st.integers(1, 4))):
        at, size = draw(st.integers(0, len(text))), draw(st.integers(0, 40))
        other = draw(st.integers(0, len(text)))
        piece = draw(
            st.one_of(
                st.just(text[other : other + size]),
                st.sampled_from(['"', "'''", "[[", "]", "{", "}", "=", "#", ".", ",", "\n", "\r"]),
                st.sampled_from(["true", "-1", "1e400", "nan", "[[]]", "{}", "1979-05-27"]),
                st.text(max_size=5),
            )
        )  # fmt: skip
        text = text[:at] + piece + text[at + size * draw(st.booleans()) :]
    return text


QUICK = settings(max_examples=200)


@QUICK
@given(st.one_of(mutated(), st.text()))
def test_any_text_is_accepted_or_told(text: str) -> None:
    try:
        parse(text, Path("config.toml"), {}, styles=STYLES)
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert re.match(r"config\.toml:[1-9][0-9]*: .", line), line


@QUICK
@given(st.binary(max_size=60))
def test_any_bytes_are_accepted_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(data)
    try:
        load(path, {})
    except ConfigError as error:
        assert str(error).startswith(str(path))


MODELS = [*SECTIONS.items(), *(("accounts", one.settings) for one in registry.descriptors())]
KEYS = [
    f"{section}__{key}".upper().replace("ACCOUNTS__", "ACCOUNTS__MAIN__")
    for section, model in MODELS
    for key in model.model_fields
]


@QUICK
@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=12), max_size=6))
def test_any_environment_is_accepted_or_told(values: dict[str, str]) -> None:
    environ = {f"TAGECHO_{key}": value for key, value in values.items()}
    try:
        parse(CONTRACT, Path("config.toml"), environ, styles=STYLES)
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert line.split(": ")[0] in environ, line


def test_an_unknown_key_hides_nothing_else(tmp_path: Path) -> None:
    """All that is wrong with a track is told at once, not in two rounds."""
    text = """\
[accounts.main]
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "mian"
hashtag = "sunset"
evry = "15m"
reply = "tnit"
"""
    with pytest.raises(ConfigError) as caught:
        parse(text, tmp_path / "config.toml", {}, styles=STYLES)
    message = str(caught.value)
    assert ':8: tracks[0].evry: unknown key (did you mean "every"?)' in message
    assert ':6: tracks[0].account: "mian" is not under [accounts]' in message
    assert ':9: tracks[0].reply: "tnit" is not one of' in message


# --- more than one platform ---


MEMORY = '[accounts.side]\nplatform = "memory"\nusername = "imagebot"\n'


def test_an_account_may_have_limits_of_its_own() -> None:
    text = ACCOUNT + MEMORY + "pacing = {write = '3/h'}\n[pacing]\nread = '7/h'\ndelete = 'off'\n"
    environ = {"TAGECHO_ACCOUNTS__MAIN__PACING__DELETE": "2/d"}
    both = parse(text, Path("config.toml"), environ)
    main, side = (rates_of(both, both.accounts[name]) for name in ("main", "side"))
    assert main["read"] == side["read"] == TokenRate.of(7, timedelta(hours=1))
    assert (main["delete"], side["delete"]) == (TokenRate.of(2, timedelta(days=1)), None)
    assert side["write"] == TokenRate.of(3, timedelta(hours=1))
    assert main["publish"] == TokenRate.of(6, timedelta(hours=1)), "the platform's own"
    assert complaints(f"{ACCOUNT}{MEMORY}pacing = {{wriet = '3/h'}}") == [
        'config.toml:7: accounts.side.pacing.wriet: "wriet" is not one of read, media, login, '
        'write, delete (did you mean "write"?)'
    ]
    assert complaints(f"{ACCOUNT}pacing = {{publish = '3'}}") == [
        'config.toml:4: accounts.main.pacing.publish: "3" is not a rate such as "20/d", "6/h", '
        '"200/15m" or "off"'
    ]


def test_a_hashtag_is_one_of_its_platform() -> None:
    track = "[[tracks]]\naccount = '{}'\nhashtag = '2026'\n"
    parse(ACCOUNT + MEMORY + track.format("main"), Path("config.toml"), {})
    assert complaints(ACCOUNT + MEMORY + track.format("side")) == [
        'config.toml:9: tracks[0].hashtag: "2026" is a number, and no hashtag there'
    ]


def test_an_account_has_the_keys_of_its_platform() -> None:
    text = ACCOUNT + MEMORY + 'server = "other.example"\n'
    accounts = parse(text, Path("config.toml"), {"TAGECHO_ACCOUNTS__SIDE__TOKEN": SECRET}).accounts
    assert accounts["side"].handle == "imagebot@other.example"
    assert accounts["main"].handle == "imagebot"
    assert SECRET not in repr(accounts)
    assert complaints(f"{ACCOUNT}{MEMORY}proxy = 'http://127.0.0.1:1'") == [
        "config.toml:7: accounts.side.proxy: unknown key"
    ]
    assert complaints(f"{ACCOUNT}server = 'x.example'") == [
        "config.toml:4: accounts.main.server: unknown key"
    ]
    assert complaints(f"{ACCOUNT}{MEMORY}token = '{SECRET}'") == [
        "config.toml:7: accounts.side.token: no secrets in this file; "
        "set TAGECHO_ACCOUNTS__SIDE__TOKEN or TAGECHO_ACCOUNTS__SIDE__TOKEN_FILE"
    ]


def test_one_name_on_two_servers_is_two_accounts() -> None:
    text = MEMORY + MEMORY.replace("side", "third") + 'server = "other.example"\n'
    assert len(parse(text, Path("config.toml"), {}).accounts) == 2
    assert complaints(MEMORY + MEMORY.replace("side", "third")) == [
        "config.toml:6: accounts.third.username: is the username of accounts.side too"
    ]


def test_each_platform_has_one_of_the_ways() -> None:
    assert complaints(f"{ACCOUNT}{MEMORY}[replies]\nmode = 'dm'\n") == [
        "config.toml:4: accounts.side: its platform has none of the ways of [replies]; "
        "add one of reply"
    ]
    both = f"{ACCOUNT}{MEMORY}[replies]\nmode = 'dm'\nfallback = ['reply']\n"
    assert parse(both, Path("config.toml"), {}).replies.fallback == ("reply",)
    assert complaints(f"{MEMORY}[replies]\nmode = 'story'\n") == [
        'config.toml:5: replies.mode: "story" is not one of reply'
    ]
    assert registry.ways("memory", ("dm", "reply"))[0].name == "reply"
    assert [mode.name for mode in registry.ways("instagram", ("dm", "reply"))] == ["dm"]
    assert [mode.name for mode in registry.ways("instagram", ("",))] == ["post"]
