#!/usr/bin/env python3
"""Verifies an exported audit log. Written from docs/audit-format.md alone; shares no code with Lictor.

    verify_audit.py FILE (--key BASE64 | --keys FILE)
    verify_audit.py FILE --key BASE64 --mutations < splices

Ends with 0 when the file verifies and with 8 when it does not; the line it prints begins with `ok` or with the name of
the first flaw, then `line=N index=N`. With --mutations, each line of standard input is a JSON object
{"at": OFFSET, "remove": COUNT, "insert": BASE64}: FILE with that change is verified, and a line printed for it.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

MAX_LINE = 256 * 1024
MAX_NOTE = 64 * 1024
MAX_STATEMENT = 4 * 1024
MAGIC = b"lictor refusal v1\0"
MARK = "\u2014 "
FIELDS = {
    "kind": ["kind"], "who": ["principal", "by", "identity"], "host": ["host", "target"], "command": ["command"],
    "outcome": ["outcome"], "site": ["site"], "agent": ["agent"], "job": ["job"], "invocation": ["invocation"],
    "rule": ["rule"], "via": ["via"], "code": ["code"], "since": ["at"], "until": ["at"],
}
MARKS = {True: "(erased)", False: "(left out)"}
ID = re.compile(r"^inv_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$")


class Flaw(Exception):
    def __init__(self, code, why="", line=None, index=None):
        super().__init__(why)
        self.code, self.why, self.line, self.index = code, why, line, index


def b64(text):
    """Standard base64 in its one form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not base64 in its one form")
    return raw


def number(text):
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text) or int(text) >= 1 << 64:
        return None
    return int(text)


# --- the tree (RFC 9162) ---

def leaf_hash(content):
    return hashlib.sha256(b"\0" + content).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Roots of the perfect subtrees so far, largest first, each with its number of leaves."""

    def __init__(self):
        self.size, self.edge = 0, []

    def push(self, count, root):
        if count < 1 or count & (count - 1) or self.size % count:
            raise Flaw("line", "so many records from there on have no root of their own")
        self.size += count
        while self.edge and self.edge[-1][0] == count:
            root = node_hash(self.edge.pop()[1], root)
            count *= 2
        self.edge.append((count, root))

    def root(self):
        if not self.edge:
            return hashlib.sha256(b"").digest()
        root = self.edge[-1][1]
        for _, left in reversed(self.edge[:-1]):
            root = node_hash(left, root)
        return root


# --- the checkpoint (C2SP signed-note, tlog-checkpoint, tlog-cosignature) ---

def key_id(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


class Keys:
    def __init__(self):
        self.log, self.witnesses = [], {}

    def add(self, text):
        parts = text.split("+", 2)
        if len(parts) == 3:
            try:
                typed = b64(parts[2])
            except ValueError:
                typed = b""
            name, key = parts[0], typed[1:]
            if len(typed) == 33 and typed[0] in (1, 4) and key_id(name, typed[0], key).hex() == parts[1]:
                if typed[0] == 1:
                    self.log.append(key)
                else:
                    self.witnesses[(name, key_id(name, 4, key))] = key
                return
        key = b64(text)
        if len(key) != 32:
            raise ValueError("a key has 32 bytes")
        self.log.append(key)


def signed(key, message, signature):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def checkpoint(note, keys):
    """(name, size, root, witnesses) that the note proves."""
    bad = Flaw("checkpoint", "the text is not a checkpoint")
    if len(note.encode()) > MAX_NOTE or not note.endswith("\n") or "\n\n" not in note:
        raise bad
    text, signatures = note.rsplit("\n\n", 1)
    body = text.split("\n")
    name = body[0]
    if not re.fullmatch(r"[!-*,-~]{1,400}", name) or len(body) != 3:
        raise bad
    size = number(body[1])
    try:
        root = b64(body[2])
    except ValueError:
        raise bad from None
    if size is None or len(root) != 32:
        raise bad
    message = (text + "\n").encode()
    blobs = []
    for line in signatures.split("\n")[:-1]:
        parts = line[len(MARK):].split(" ", 1)
        if not line.startswith(MARK) or len(parts) != 2:
            raise bad
        try:
            blob = b64(parts[1])
        except ValueError:
            raise bad from None
        if len(blob) < 4:
            raise bad
        blobs.append((parts[0], blob[:4], blob[4:]))
    found, witnesses = False, []
    for key in keys.log:
        for signer, which, signature in blobs:
            if signer == name and which == key_id(name, 1, key):
                if not signed(key, message, signature):
                    raise Flaw("checkpoint", "the signature on the checkpoint is false")
                found = True
    if not found:
        raise Flaw("other_key", "the checkpoint is not signed with the pinned key")
    for signer, which, signature in blobs:
        key = keys.witnesses.get((signer, which))
        if key is None:
            continue
        if len(signature) != 72:
            raise Flaw("checkpoint", "the signature of the witness is false")
        time = struct.unpack(">Q", signature[:8])[0]
        if not signed(key, b"cosignature/v1\ntime %d\n" % time + message, signature[8:]):
            raise Flaw("checkpoint", "the signature of the witness is false")
        witnesses.append(signer)
    return name, size, root, witnesses


# --- filters ---

def like(pattern, text):
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), text, re.S) is not None


def read_query(text):
    terms, rest = [], text.lstrip(" ")
    while rest:
        negated = rest.startswith("-")
        name, colon, rest = rest[negated:].partition(":")
        if not colon or name not in FIELDS:
            raise ValueError("no term")
        if rest.startswith('"'):
            match = re.match(r'"((?:[^"\\]|\\["\\])*)"', rest)
            if not match:
                raise ValueError("no quoted value")
            value, rest = re.sub(r"\\(.)", r"\1", match[1]), rest[match.end():]
        else:
            value, blank, tail = rest.partition(" ")
            rest = blank + tail
        if not value or (rest and not rest.startswith(" ")):
            raise ValueError("no value")
        if name in ("since", "until") and not re.fullmatch(
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", value):
            raise ValueError("no moment")
        terms.append((negated, name, value))
        rest = rest.lstrip(" ")
    return terms


def texts(record, name):
    value = record.get(name)
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict) and isinstance(entry.get("cut"), str):
            yield entry["cut"]


def fits(terms, record):
    for negated, name, value in terms:
        def one(text):
            if name == "command":
                return value in text
            if name == "since":
                return text >= value
            if name == "until":
                return text < value
            return any(like(pattern, text) for pattern in value.split("|"))
        if any(one(text) for field in FIELDS[name] for text in texts(record, field)) == negated:
            return False
    return True


# --- what records promise ---

def statement(raw):
    """The fields of a refusal."""
    if len(raw) > MAX_STATEMENT or not raw.startswith(MAGIC):
        raise ValueError("it is of another kind or version")
    fields, rest = [], raw[len(MAGIC):]
    for _ in range(9):
        if len(rest) < 4 or len(rest) < 4 + struct.unpack(">I", rest[:4])[0]:
            raise ValueError("it ends too early")
        length = struct.unpack(">I", rest[:4])[0]
        fields.append(rest[4:4 + length])
        rest = rest[4 + length:]
    if rest:
        raise ValueError("something follows it")
    if len(fields[4]) != 32 or len(fields[5]) not in (0, 32) or len(fields[8]) != 8:
        raise ValueError("a field has the wrong length")
    tenant, site, agent, invocation, code, _ = (fields[n].decode() for n in (0, 1, 2, 3, 6, 7))
    return {
        "invocation": invocation, "site": site, "agent": agent, "code": code,
        "grant_digest": fields[4].hex(), "floor_digest": fields[5].hex() or None,
    }


def commitment(content):
    """(fields, digest) that a record commits to; None if it has no payload."""
    if b'"payload"' not in content:
        return None
    found = json.loads(content.decode()).get("payload")
    if found is None:
        return None
    fields = found.get("fields") if isinstance(found, dict) and set(found) == {"fields", "sha256"} else None
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in [found["sha256"], *fields]):
        raise ValueError("no commitment")
    return fields, found["sha256"]


def check_payload(committed, payload):
    if hashlib.sha256(payload).hexdigest() != committed[1]:
        raise Flaw("payload", "it does not fit the digest in the record")
    try:
        held = json.loads(payload.decode())
    except (UnicodeDecodeError, ValueError):
        held = None
    if not isinstance(held, dict):
        raise Flaw("payload", "it is no JSON object")
    if not isinstance(held.get("salt"), str) or not re.fullmatch(r"[0-9a-f]{32}", held["salt"]):
        raise Flaw("payload", "it has no salt")
    if sorted(name for name in held if name != "salt") != committed[0]:
        raise Flaw("payload", "it has other fields than the record says")


def whole(content, payload, payloads):
    """The record with the fields of its payload in their places; `payloads`: the file has those that are there."""
    record = json.loads(content.decode())
    try:
        committed = commitment(content) if isinstance(record, dict) else None
    except ValueError:
        committed = None
    if committed is None:
        return record
    del record["payload"]
    try:
        held = json.loads(payload.decode())
    except (UnicodeDecodeError, ValueError):
        held = None
    held = held if isinstance(held, dict) else {}
    for name in committed[0]:
        record.setdefault(name, held.get(name, MARKS[payloads]))
    return record


def erased_ranges(record, index):
    ranges = record.get("ranges")
    if not isinstance(ranges, list):
        raise Flaw("not_a_record")
    for text in ranges:
        ends = [number(end) for end in text.split("-", 1)] if isinstance(text, str) else [None]
        first, last = ends[0], ends[-1]
        if None in ends or first > last or last >= index:
            raise Flaw("not_a_record")
        yield first, last


def prove_refusal(record):
    try:
        raw, signature, der = (b64(record[name]) for name in ("statement", "signature", "agent_key"))
        said = statement(raw)
        key = serialization.load_der_public_key(der)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, raw)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
            digest = hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA384()
            key.verify(signature, raw, ec.ECDSA(digest))
        else:
            raise ValueError("a key of an unsuitable kind")
    except (KeyError, TypeError, ValueError, InvalidSignature) as error:
        raise Flaw("evidence", f"the evidence of the refusal does not hold: {error}") from None
    for name, value in said.items():
        if record.get(name) != value:
            raise Flaw("evidence", f"the agent signed another {name} than the record has")


class Promises:
    def __init__(self):
        self.intended, self.started, self.refused, self.whole = set(), 0, 0, True
        self.held, self.left_out, self.missing, self.erased = 0, 0, [], []

    def take_payload(self, index, content, payload):
        """Whether everything that the record says can be read; `payload` is None where the file has none."""
        try:
            committed = commitment(content)
        except ValueError:
            raise Flaw("not_a_record") from None
        if committed is None:
            if payload:
                raise Flaw("payload", "the record commits to none")
            return True
        if payload:
            check_payload(committed, payload)
            self.held += 1
            return True
        if payload is None:
            self.left_out += 1
        else:
            self.missing.append(index)
        return False

    def finish(self):
        """Every payload that is missing was erased; in a part, what says so may be in what is left out."""
        counts, said, until = {"erased": 0}, sorted(self.erased), -1
        for index in self.missing:
            while said and said[0][0] <= index:
                until = max(until, said.pop(0)[1])
            if index <= until:
                counts["erased"] += 1
            elif self.whole:
                raise Flaw("payload_missing", "nothing in the log says that it was erased", None, index)
            else:
                self.left_out += 1
        return counts["erased"]

    def take(self, index, content, payload):
        try:
            record = json.loads(content.decode())
        except (UnicodeDecodeError, ValueError):
            record = None
        if not isinstance(record, dict) or not all(isinstance(record.get(n), str) for n in ("at", "kind")):
            raise Flaw("not_a_record")
        is_readable = self.take_payload(index, content, payload)
        kind, ran, invocation = record["kind"], record.get("ran"), record.get("invocation")
        started = kind == "invocation_ended" and ran in ("ran", "may_have_run")
        if kind in ("invocation_intended", "invocation_ended") and not (isinstance(invocation, str) and ID.match(invocation)):
            raise Flaw("not_a_record")
        if kind == "invocation_intended":
            self.intended.add(invocation)
        if kind == "invocation_ended":
            intended = invocation in self.intended
            self.intended.discard(invocation)
            self.started += started
            if started and not intended and self.whole:
                raise Flaw("ran_without_intent")
        if kind == "payloads_erased":
            self.erased += erased_ranges(record, index)
        if kind == "grant_refused" and is_readable:
            prove_refusal(whole(content, payload or b"", True))
            self.refused += 1
        return record


# --- the file ---

def lines(stream):
    count = 0
    while True:
        line = stream.readline(MAX_LINE)
        if not line:
            return
        count += 1
        if not line.endswith(b"\n"):
            raise Flaw("line", "its end is missing", count)
        yield count, line[:-1]


def content_of(line):
    if not re.fullmatch(rb"[0-9a-f]{16} ", line[:17]):
        raise Flaw("line", "it does not begin with a check")
    if hashlib.sha256(line[17:]).hexdigest()[:16].encode() != line[:16]:
        raise Flaw("check", "the line was changed: it does not fit its check")
    return line[17:]


def unique(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


HEADS = {
    1: ["lictor_audit", "checkpoint"],
    2: ["lictor_audit", "from", "to", "filter", "checkpoint"],
    3: ["lictor_audit", "from", "to", "filter", "payloads", "checkpoint"],
}


def read_head(line):
    content = line if line.startswith(b"{") else content_of(line)
    try:
        head = json.loads(content.decode(), object_pairs_hook=unique)
        form = head.get("lictor_audit") if isinstance(head, dict) else None
        if type(form) is not int or (form == 1) != line.startswith(b"{"):
            raise ValueError("another form")
        names = HEADS.get(form, [])
        if set(head) != set(names) or (form == 3 and type(head["payloads"]) is not bool):
            raise ValueError("other members")
        if not isinstance(head["checkpoint"], str):
            raise ValueError("no checkpoint")
        if form == 1:
            return head, None, False
        again = json.dumps({name: head[name] for name in names}, separators=(",", ":"), ensure_ascii=False)
        if again.encode() != content or not all(type(head[n]) is int and head[n] >= 0 for n in ("from", "to")):
            raise ValueError("not in its one form")
        query = None if head["filter"] is None else read_query(head["filter"])
    except (UnicodeDecodeError, ValueError, TypeError) as error:
        raise Flaw("head", f"it does not begin as an exported log does: {error}") from None
    return head, (head["from"], head["to"], query), head.get("payloads", False)


def read_entry(line, part, payloads, due):
    """(index, count, root or None, record content, payload or None where the file has none)"""
    if part is None:
        return due, 1, None, line, None
    place, blank, content = content_of(line).partition(b" ")
    bad = Flaw("line", "it holds neither a record nor a root")
    if not blank or not place.isascii():
        raise bad
    index, plus, count = place.decode().partition("+")
    if number(index) is None or (plus and number(count) is None):
        raise bad
    if not plus and not payloads:
        return number(index), 1, None, content, None
    if not plus:
        content, _, payload = content.partition(b"\t")
        return number(index), 1, None, content, payload
    if not re.fullmatch(rb"[0-9a-f]{64}", content):
        raise bad
    return number(index), number(count), bytes.fromhex(content.decode()), None, None


def take_entry(entry, tree, promises, part, size):
    index, count, root, content, payload = entry
    if index != tree.size:
        raise Flaw("order", f"record {tree.size} was due and record {index} came")
    if index + count > size:
        raise Flaw("excess", f"there is more than the {size} records that were signed")
    start, end, query = part or (0, size, None)
    if root is not None:
        if query is None and index < end and index + count > start:
            raise Flaw("outside", "records are left out of the range that the file says it has")
        tree.push(count, root)
        promises.whole = False
        return
    if not start <= index < end:
        raise Flaw("outside", "the record is not in the range that the file says it has")
    if query is not None:
        try:
            record = whole(content, payload or b"", payload is not None)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not fits(query, record):
            raise Flaw("outside", "the record does not fit the filter that the file says it has")
    tree.push(1, leaf_hash(content))
    promises.take(index, content, payload)


def placed(line, index, act):
    """`act()`, whose flaws are at this place."""
    try:
        return act()
    except Flaw as flaw:
        raise Flaw(flaw.code, flaw.why, flaw.line or line, flaw.index if flaw.index is not None else index) from None


def verify(stream, keys):
    source = lines(stream)
    _, first = next(source, (1, b""))
    head, part, payloads = placed(1, None, lambda: read_head(first))
    name, size, root, witnesses = placed(1, None, lambda: checkpoint(head["checkpoint"], keys))
    if part and (part[0] > part[1] or part[1] > size):
        raise Flaw("outside", "it says that it has records that were never signed", 1)
    tree, promises, count, held = Tree(), Promises(), 1, 0
    for count, line in source:
        entry = placed(count, None, lambda: read_entry(line, part, payloads, tree.size))
        placed(count, entry[0], lambda: take_entry(entry, tree, promises, part, size))
        held += entry[2] is None
    if tree.size < size:
        raise Flaw("short", f"there are {tree.size} records, and {size} were signed", count, tree.size)
    if tree.root() != root:
        raise Flaw("changed", "the records do not lead to the signed root: at least one was changed")
    erased = promises.finish()
    return name, size, held, erased, promises, witnesses


def told(flaw):
    place = "".join(f" {n}={v}" for n, v in (("line", flaw.line), ("index", flaw.index)) if v is not None)
    return f"{flaw.code}{place}"


def main():
    import io

    arguments = argparse.ArgumentParser(description="verify an exported audit log")
    arguments.add_argument("file")
    arguments.add_argument("--key")
    arguments.add_argument("--keys")
    arguments.add_argument("--mutations", action="store_true")
    given = arguments.parse_args()
    keys = Keys()
    try:
        if given.key:
            keys.add(given.key)
        if given.keys:
            for line in open(given.keys, encoding="utf-8"):
                if line.split("#")[0].strip():
                    keys.add(line.split("#")[0].strip())
    except ValueError as error:
        sys.exit(f"not a key: {error}")
    if not keys.log:
        sys.exit("no key of the log: --key or --keys")
    if given.mutations:
        base = open(given.file, "rb").read()
        for line in sys.stdin:
            splice = json.loads(line)
            at, end = splice["at"], splice["at"] + splice["remove"]
            changed = base[:at] + base64.b64decode(splice["insert"]) + base[end:]
            try:
                verify(io.BytesIO(changed), keys)
                print("ok")
            except Flaw as flaw:
                print(told(flaw))
        return
    with open(given.file, "rb") as stream:
        try:
            name, size, held, erased, promises, witnesses = verify(stream, keys)
        except Flaw as flaw:
            print(f"{told(flaw)}: {flaw.why}")
            sys.exit(8)
    print(f"ok {name}: {held} of {size} records, {promises.started} started, {promises.refused} refused by sites, "
          f"{promises.held} payloads, {erased} erased, {promises.left_out} left out, {len(witnesses)} known witnesses")


if __name__ == "__main__":
    main()
