"""Labeling functions that tell spam from real comments under music videos.

Spam wants the reader to go somewhere or do something; a real comment is about the video. The first
half of the functions looks for the former, the second for the latter.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

from labelmill import ABSTAIN, keywords, labeling_function, regex

# Spam: go there, do this

link = regex("link", label="spam", pattern=r"(?i)https?:|www\.|\.(com|net|org)\b|/watch\?v=")

check_out = regex("check_out", label="spam", pattern=r"(?i)\bcheck(ing)?\s+(\w+\s+){0,2}out\b")

subscribe = keywords(
    "subscribe", label="spam", words=["sub", "subs", "subscribe", "subscriber", "subscribers"]
)

own_work = regex(
    "own_work",
    label="spam",
    pattern=r"(?i)\b(my|our)\s+(\w+\s+)?(channel|chanel|covers?|music|page|playlist|videos?|vids?)\b",
)

begging = keywords("begging", label="spam", words=["please", "pleas", "pls", "plz", "help me"])

money = keywords(
    "money",
    label="spam",
    words=["cash", "dollars", "earn", "free", "giveaway", "money", "paypal", "win"],
)

# Ham: about the video

LONGEST_REACTION = 5
"""Words in a comment that does no more than react."""


@labeling_function()
def short_reaction(x):
    return "ham" if len(x.text.split()) <= LONGEST_REACTION else ABSTAIN


about_the_song = keywords(
    "about_the_song",
    label="ham",
    words=["beat", "dance", "dancing", "lyrics", "melody", "song", "songs", "singer", "voice"],
)

artist = keywords(
    "artist",
    label="ham",
    words=["eminem", "gangnam", "katy", "lmfao", "psy", "rihanna", "shakira"],
)


@labeling_function(batch=True)
def counts_views(batch):
    """People come back to see how many views a video has, and say so."""
    text = pc.utf8_lower(batch.column("text"))
    counting = pc.match_substring_regex(text, r"\b(views?|viewers?|billions?|millions?)\b")
    return pc.if_else(counting, "ham", pa.scalar(None, pa.string()))


PRAISE = re.compile(r"\b(amazing|awesome|best|cool|favou?rite|great|love|nice)\b", re.IGNORECASE)


@labeling_function()
def praise(x):
    """Spam flatters too, before it asks for something: praise counts when nothing follows it."""
    found = PRAISE.search(x.text)
    return "ham" if found and len(x.text) - found.end() < 40 else ABSTAIN
