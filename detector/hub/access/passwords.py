"""A password that somebody chooses comes in, whether others would guess it leaves.

Lists of stolen passwords are mostly a word or few, with digits behind them, walks over a keyboard, repetitions and
dates. These are recognised by how they are made, so no list has to be shipped; what is random or has four words passes.
Sort and number of characters are not asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

FEW = 4  # different characters
MOST_WORDS = 3
MOST_LEFT = 2  # characters that no word explains
# Letters in one piece are mostly a word or a name of some language, unless there are so many that they are a sentence.
ONE_WORD = re.compile(r"[^A-Za-z]{0,4}(?:[A-Za-z]?[a-z]{1,14}|[A-Z]{1,15})[^A-Za-z]{0,4}")
LONGEST_NUMBER = 20  # digits alone: dates, telephone numbers

# Of this place: what a stranger at the gate would try first.
PLACE = """
label labelwatch watch hub camera warehouse parcel storage owner admin reviewer viewer guard security express cangku
kuaidi jiankong miandan anquan baoan laoban wuliu
"""
OFTEN = """
password passwort passw0rd passwd pass word qwerty qwertz azerty asdf zxcv iloveyou ilove loveyou love you welcome
letmein login master root user guest test testing demo default changeme change secret access administrator abc abcd
monkey dragon princess sunshine shadow football baseball basketball soccer hockey superman batman spiderman pokemon
starwars charlie michael jordan jessica jennifer michelle ashley nicole daniel thomas andrew joshua matthew anthony
robert william samantha amanda hunter ranger harley buster ginger pepper tigger summer winter spring autumn flower
butterfly chocolate cookie cheese banana orange apple purple yellow silver golden diamond crystal freedom whatever
trustno one forever friends family mother father brother sister baby angel lovely beautiful hello world internet
computer samsung iphone google facebook linkedin yahoo microsoft windows android liverpool arsenal chelsea barcelona
manchester united america london paris china beijing shanghai shenzhen guangzhou hangzhou yiwu woaini woaiwo woai aini
nihao zhongguo baobao laopo laogong xiaoming wangming zhang wang liming tiankong haoyun facai fugui jixiang mima
mimamima denglu guanli guanliyuan taobao alibaba wechat weixin tencent mustang corvette ferrari porsche yamaha killer
hacker matrix legend soldier warrior maverick phoenix thunder lightning startrek nirvana metallica slipknot blink
fuckyou fuck asshole pussy sexy hotmail gmail nothing nobody mylove my your the and in me is new old big super king
queen prince lucky happy number money power player playboy cowboy cowboys steelers yankees lakers eagles dolphin tiger
lion bear wolf horse eagle falcon cat dog puppy kitty mickey minnie snoopy garfield simple qwe asd zxc
"""
ROWS = """
1234567890 qwertyuiop asdfghjkl zxcvbnm abcdefghijklmnopqrstuvwxyz qwertzuiop azertyuiop 1qaz 2wsx 3edc 4rfv 5tgb 6yhn
7ujm 8ik 9ol qaz wsx edc rfv tgb yhn ujm !@#$%^&*() 147258369 741852963 qweasdzxc 1q2w3e4r5t6y7u8i9o0p
q1w2e3r4t5y6u7i8o9p0
"""
MEANT = str.maketrans("@4301!5$7", "aaeoiisst")  # what people write in place of a letter
NUMBER = r"\d+|[^\w\s]+|[\s_]+"


def is_guessed(password: str, *names: str) -> bool:
    """Whether a password is one that others would try; `names` are words that they know, such as the user's name."""
    typed = unicodedata.normalize("NFKC", password)
    plain = typed.casefold()
    if len(set(plain)) <= FEW or re.fullmatch(r"(.{1,5}?)\1+.{0,2}", plain, re.DOTALL):
        return True
    if ONE_WORD.fullmatch(typed) or (re.fullmatch(r"[\d\s./-]+", plain) and len(plain) <= LONGEST_NUMBER):
        return True
    known = {*PLACE.split(), *OFTEN.split(), *_walks(), *(name.casefold() for name in names if len(name) > 1)}
    longest_first = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return any(_is_made_of(longest_first, one) for one in {plain, plain.translate(MEANT), plain[::-1]})


def _is_made_of(words: str, plain: str) -> bool:
    """Whether a few known words, and numbers and signs between them, are all there is."""
    rest, count = re.subn(words, " ", plain)
    left = re.sub(NUMBER, "", rest)
    return count <= MOST_WORDS and len(left) <= MOST_LEFT


def _walks() -> Iterator[str]:
    """Three keys or more that follow each other, either way."""
    for row in ROWS.split():
        for walk in (row, row[::-1]):
            for begin in range(len(walk) - 2):
                yield from (walk[begin:end] for end in range(begin + 3, len(walk) + 1))
