"""The XMP packet of an image we made: who reads a picture must be able to tell what it is."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# A photo somebody took, with parts that trained networks made: enlarged pixels, and a mask that
# decides what is painted. IPTC's word for such a mix; the plain "trainedAlgorithmicMedia" would
# deny the photographer, and "algorithmicallyEnhanced" would deny the networks.
DIGITAL_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
MAX_TEXT = 2000  # characters; a JPEG marker holds 64 KiB, escaped and in UTF-8

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <xmp:CreatorTool>{tool}</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
   <dc:description>{description}</dc:description>
   <Iptc4xmpCore:AltTextAccessibility>{alt}</Iptc4xmpCore:AltTextAccessibility>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def packet(
    description: str, alt_text: str, *, digital_source_type: str, creator_tool: str
) -> bytes:
    """An XMP packet in UTF-8 for any text: what XML cannot hold is left out, long text is cut."""
    return _PACKET.format(
        tool=_text(creator_tool),
        source=_text(digital_source_type),
        description=_language_alternative(description),
        alt=_language_alternative(alt_text),
    ).encode()


def _language_alternative(text: str) -> str:
    return f'<rdf:Alt><rdf:li xml:lang="x-default">{_text(text)}</rdf:li></rdf:Alt>'


def _text(text: str) -> str:
    # A carriage return must be a reference: parsers turn a bare one into a line feed.
    return escape(_NOT_XML.sub("", text)[:MAX_TEXT], {"\r": "&#13;"})
