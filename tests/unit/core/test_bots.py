"""Who calls itself a bot."""

from __future__ import annotations

import pytest

from bot.core.bots import is_bot_name, says_bot


@pytest.mark.parametrize(
    "name",
    [
        *("bot", "bots", "daily_quote_bot", "bot.of.the.day", "autoreplybot_official", "ＢＯＴ"),
        *("robot.maker", "imagebot7", "MemeBots_2024", "memeb0t", "janetalbot", "𝐛𝐨𝐭"),
        *("погодный бот", "お天気ボット", "날씨봇", "天气机器人"),
    ],
)
def test_bots(name: str) -> None:
    assert is_bot_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "ana", "ribot", "Marc Ribot", "jane.talbot99", "the_abbots", "Cabot", "botanica"),
        *("robotics_lab", "sabotage", "jboti", "botswana", "хобот", "bottega", "talbots"),
    ],
)
def test_people(name: str) -> None:
    assert not is_bot_name(name)


@pytest.mark.parametrize(
    "text", ["I am a bot", "#nobot please", "ＢＯＴ", "Automated account", "бот"]
)
def test_profiles_that_say_so(text: str) -> None:
    assert says_bot(text)


@pytest.mark.parametrize("text", ["", "I build robots", "botanist", "Abbot of Kells"])
def test_profiles_that_do_not(text: str) -> None:
    assert not says_bot(text)
