#!/usr/bin/env python3
"""Verifies an exported audit log. Written from docs/audit-format.md alone; shares no code with Lictor.

    verify_audit.py FILE (--key BASE64 | --keys FILE) [--known CHECKPOINT]
    verify_audit.py FILE (--key BASE64 | --keys FILE) [--known CHECKPOINT] --mutations < splices

--known is a file with a checkpoint of the log that was verified before: the log must begin with the records under it.

Ends with 0 when the file verifies and with 8 when it does not; the line it prints begins with `ok` or with the name of
the first flaw, then `line=N index=N`. With --mutations, each line of standard input is a JSON object
{"at": OFFSET, "remove": COUNT, "insert": BASE64}: FILE with that change is verified, and a line printed for it, in the
order in which they came. What was found on the lines before a change depends on nothing behind them, so those that have
them in common have them verified once; one in 64 is verified from the first line, too, and must come to the same.
"""

import argparse
import base64
import binascii
import copy
import hashlib
import io
import json
import re
import struct
import sys
import unicodedata

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

MAX_LINE = 256 * 1024
MAX_NOTE = 64 * 1024
MAX_STATEMENT = 4 * 1024
MAX_DEPTH = 16
MAX_TERMS = 16
MAX_QUERY = 1024
# Of so many changes of a file one is verified from its first line, too.
ONE_IN = 64
REFUSAL = b"lictor refusal v1\0"
ROTATION = "lictor log key rotation v1"
MARK = "\u2014 "
FIELDS = {
    "kind": ["kind"], "who": ["principal", "by", "identity"], "host": ["host", "target"], "command": ["command"],
    "outcome": ["outcome"], "site": ["site"], "agent": ["agent"], "job": ["job", "jobs"],
    "invocation": ["invocation"], "rule": ["rule"], "via": ["via"], "code": ["code"], "since": ["at"], "until": ["at"],
}
MARKS = {True: "(erased)", False: "(left out)"}
LOG, WITNESS = 1, 4
ID = re.compile(r"inv_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ORIGIN = re.compile(r"[!-*,-~]{1,400}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")
CHECK = re.compile(rb"[0-9a-f]{16} ")
HASH = re.compile(rb"[0-9a-f]{64}")
SALT = re.compile(r"[0-9a-f]{32}")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# How a SubjectPublicKeyInfo begins, and how many bytes the key has that follows.
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"), 65
P384 = bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"), 97
ED25519 = bytes.fromhex("302a300506032b6570032100"), 32


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
    if not NUMBER.fullmatch(text) or int(text) >= 1 << 64:
        return None
    return int(text)


def is_text(value):
    return isinstance(value, str)


def is_texts(value):
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


# --- JSON that all read alike ---

def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice")
    return members


def json_number(text):
    value = number(text)
    if value is None:
        raise ValueError("no number")
    return value


def refuse(text):
    raise ValueError(f"{text} is no number")


READER = json.JSONDecoder(
    object_pairs_hook=unique, parse_int=json_number, parse_float=refuse, parse_constant=refuse)


def is_flat(value, room):
    if isinstance(value, (dict, list)):
        inside = value.values() if isinstance(value, dict) else value
        return room > 0 and all(is_flat(entry, room - 1) for entry in inside)
    return True


def read_object(raw):
    """The object that these bytes are; `None` if they are none."""
    try:
        value = READER.decode(raw.decode())
        if SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and not is_flat(value, MAX_DEPTH):
        return None
    return value


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


# --- notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature) and keys ---

def key_id(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def verifier_key(text):
    """(type, name, key) of a C2SP verifier key; `None` if it is none."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not ORIGIN.fullmatch(parts[0]):
        return None
    try:
        typed = b64(parts[2])
    except ValueError:
        return None
    if len(typed) != 33 or typed[0] not in (LOG, WITNESS):
        return None
    kind, name, key = typed[0], parts[0], typed[1:]
    return (kind, name, key) if key_id(name, kind, key).hex() == parts[1] else None


class Keys:
    """Trusted keys: of logs, each with the name of its log or None; of witnesses, by name and key id."""

    def __init__(self):
        self.log, self.witnesses = [], {}

    def add(self, text):
        named = verifier_key(text)
        if named is not None:
            kind, name, key = named
            if kind == LOG:
                self.log.append((name, key))
            else:
                self.witnesses.setdefault((name, key_id(name, WITNESS, key)), key)
            return
        self.add_plain(text)

    def add_plain(self, text):
        key = b64(text)
        if len(key) != 32:
            raise ValueError("a key has 32 bytes")
        self.log.append((None, key))

    def read(self, text):
        for line in text.split("\n"):
            line = line.split("#")[0].strip(" \t\r")
            if line:
                self.add(line)
        if not self.log:
            raise ValueError("there is no key of a log")
        if len(self.log) > 1 and any(name is None for name, _ in self.log):
            raise ValueError("of several keys of logs, one has no name and would vouch for any of them")

    def of(self, log):
        return [key for name, key in self.log if name in (None, log)]


def signed(key, message, signature):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


class Note:
    """A signed note: its lines of text, and (name, key id, signature) of each signature."""

    def __init__(self, note):
        bad = ValueError("it is no signed note")
        if len(note.encode()) > MAX_NOTE or not note.endswith("\n") or "\n\n" not in note:
            raise bad
        text, signatures = note.rsplit("\n\n", 1)
        self.text, self.message, self.signatures = text.split("\n"), (text + "\n").encode(), []
        for line in signatures.split("\n")[:-1]:
            name, blank, encoded = line[len(MARK):].partition(" ")
            if not line.startswith(MARK) or not blank:
                raise bad
            blob = b64(encoded)
            if len(blob) < 4:
                raise bad
            self.signatures.append((name, blob[:4], blob[4:]))

    def is_signed(self, name, key):
        """Whether this key of the log signed; every line that claims so must hold."""
        which, found = key_id(name, LOG, key), False
        for signer, claimed, signature in self.signatures:
            if signer == name and claimed == which:
                if not signed(key, self.message, signature):
                    raise ValueError("a signature of the log is false")
                found = True
        return found


class Checkpoint(Note):
    def __init__(self, note):
        super().__init__(note)
        if len(self.text) != 3 or not ORIGIN.fullmatch(self.text[0]):
            raise ValueError("it is no checkpoint")
        self.name, self.size, self.root = self.text[0], number(self.text[1]), b64(self.text[2])
        if self.size is None or len(self.root) != 32:
            raise ValueError("it is no checkpoint")

    def signers(self, keys):
        return [key for key in keys if self.is_signed(self.name, key)]

    def cosigners(self, witnesses):
        """The names of those of these witnesses that cosigned."""
        found = []
        for signer, which, signature in self.signatures:
            key = witnesses.get((signer, which))
            if key is None:
                continue
            time = struct.unpack(">Q", signature[:8])[0] if len(signature) == 72 else 0
            message = b"cosignature/v1\ntime %d\n" % time + self.message
            if len(signature) != 72 or not signed(key, message, signature[8:]):
                raise ValueError(f"the cosignature of {signer} is false")
            if signer not in found:
                found.append(signer)
        return found


def rotation(statement, log, old):
    """The key that takes the place of `old`, as the statement proves."""
    note = Note(statement)
    if len(note.text) != 4 or note.text[:2] != [ROTATION, log] or b64(note.text[2]) != old:
        raise ValueError("it is no rotation of that key of that log")
    new = b64(note.text[3])
    if len(new) != 32 or not note.is_signed(log, old):
        raise ValueError("the old key did not sign it")
    return new


# --- filters ---

def like(pattern, text):
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    # The first place for each is the best: it leaves most for those behind it.
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


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
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise ValueError("a control character")
        if name in ("since", "until") and not MOMENT.fullmatch(value):
            raise ValueError("no moment")
        terms.append((negated, name, value))
        rest = rest.lstrip(" ")
    if len(terms) > MAX_TERMS or len(" ".join(map(written, terms)).encode()) > MAX_QUERY:
        raise ValueError("it is too long")
    return terms


def written(term):
    negated, name, value = term
    if re.search(r'[ "\\]', value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return ("-" if negated else "") + name + ":" + value


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


# --- payloads ---

def commitment(content, record):
    """(fields, digest) that a record commits to; None if it has no payload."""
    found = record.get("payload") if b'"payload"' in content else None
    if found is None:
        return None
    if not isinstance(found, dict) or set(found) != {"fields", "sha256"}:
        raise ValueError("no commitment")
    if not is_texts(found["fields"]) or not is_text(found["sha256"]):
        raise ValueError("no commitment")
    return found["fields"], found["sha256"]


def check_payload(committed, payload):
    if hashlib.sha256(payload).hexdigest() != committed[1]:
        raise Flaw("payload", "it does not fit the digest in the record")
    held = read_object(payload)
    if held is None:
        raise Flaw("payload", "it is no JSON object")
    if not is_text(held.get("salt")) or not SALT.fullmatch(held["salt"]):
        raise Flaw("payload", "it has no salt")
    if sorted(name for name in held if name != "salt") != committed[0]:
        raise Flaw("payload", "it has other fields than the record says")


def whole(content, record, payload, payloads):
    """The record with the fields of its payload in their places; `payloads`: the file has those that are there."""
    try:
        committed = commitment(content, record)
    except ValueError:
        committed = None
    if committed is None:
        return record
    read = {name: value for name, value in record.items() if name != "payload"}
    held = read_object(payload or b"") or {}
    for name in committed[0]:
        read.setdefault(name, held.pop(name, MARKS[payloads]))
    return read


class Payloads:
    def __init__(self):
        self.held, self.left_out, self.missing, self.erased, self.left_out_to = 0, 0, [], [], 0

    def take(self, index, content, record, payload):
        """Whether everything that the record says can be read; `payload` is None where the file has none."""
        try:
            committed = commitment(content, record)
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

    def take_erasure(self, index, record):
        by, consented_by, ranges = (record.get(name) for name in ("by", "consented_by", "ranges"))
        if not is_text(by) or not is_text(consented_by) or not is_texts(ranges):
            raise Flaw("not_a_record")
        if person(by) == person(consented_by):
            raise Flaw("consent", f"{consented_by} consented to their own erasure")
        self.take_ranges(index, ranges)

    def take_removal(self, index, record):
        """They had been kept as long as said: nobody had to consent."""
        ranges = record.get("ranges")
        if not is_texts(ranges):
            raise Flaw("not_a_record")
        self.take_ranges(index, ranges)

    def take_ranges(self, index, ranges):
        for text in ranges:
            ends = [number(end) for end in text.split("-", 1)]
            if None in ends or ends[0] > ends[-1] or ends[-1] >= index:
                raise Flaw("not_a_record")
            self.erased.append((ends[0], ends[-1]))

    def finish(self):
        """How many were erased, of those that are missing; what says so may be in what is left out behind them."""
        said, at, until, erased = sorted(self.erased), 0, -1, 0
        for index in self.missing:
            while at < len(said) and said[at][0] <= index:
                until = max(until, said[at][1])
                at += 1
            if index <= until:
                erased += 1
            elif index >= self.left_out_to:
                raise Flaw("payload_missing", "nothing in the log says that it was erased", None, index)
            else:
                self.left_out += 1
        return erased


# --- consent ---

def person(principal):
    _, colon, name = principal.partition(":")
    name = name if colon else principal
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


class Consents:
    """The approvals of jobs, each with who asked, for what, whose consent it needs, and who has given it."""

    def __init__(self):
        self.approvals = {}

    def take(self, kind, record, is_readable):
        def need(holds, why):
            if not holds:
                raise Flaw("consent", why)
        job, plan, requester, by = (record.get(name) for name in ("job", "plan_digest", "requester", "by"))
        terms, groups, consents = (record.get(name, []) for name in ("terms", "groups", "consents"))
        need(is_text(job), "it does not say about which job it is")
        need(all(value is None or is_text(value) for value in (plan, requester, by)), "a field is no text")
        need(all(map(is_texts, (terms, groups, consents))), "a field is no list of texts")
        need(plan is not None or not is_readable, "it does not say about which plan it is")
        if kind == "approval_requested":
            need(job not in self.approvals, "consent to it was asked for before")
            asked = [text.partition(" of ") for text in terms]
            need(asked and all(of and number(many) for many, of, _ in asked), "it does not say whose consent is needed")
            need(requester is not None, "it does not say who asks")
            self.approvals[job] = {
                "requester": requester, "plan": plan, "terms": [(group, int(many)) for many, _, group in asked],
                "given": [], "state": "pending",
            }
            return
        approval = self.approvals.get(job)
        need(approval is not None, "nobody was asked to consent to it")
        need(approval["state"] == "pending", "it was decided before")
        need(None in (plan, approval["plan"]) or plan == approval["plan"], "it is about another plan")
        if kind == "approval_given":
            need(by is not None, "it does not say who consents")
            need(person(by) != person(approval["requester"]), f"{by} consented to their own request")
            need(all(person(by) != person(other) for other, _ in approval["given"]), f"{by} consented twice")
            approval["given"].append((by, groups))
        elif kind == "approval_used":
            counted, people = {}, set()
            for text in consents:
                who, separator, group = text.partition(" for ")
                need(separator, "it does not say who counts for which group")
                need(person(who) not in people, f"{who} counts twice")
                people.add(person(who))
                need(any(who == other and group in of for other, of in approval["given"]), f"{who} has not consented")
                counted[group] = counted.get(group, 0) + 1
            need(all(counted.get(group, 0) >= many for group, many in approval["terms"]), "too few consented")
            approval["state"] = "used"
        else:
            approval["state"] = "over"

    def intended(self, job):
        if job in self.approvals and self.approvals[job]["state"] != "used":
            raise Flaw("consent", f"{job} was meant to start without the consent that it needed")


# --- evidence of refusals ---

def statement(raw):
    """The fields of a refusal."""
    if len(raw) > MAX_STATEMENT or not raw.startswith(REFUSAL):
        raise ValueError("it is of another kind or version")
    fields, rest = [], raw[len(REFUSAL):]
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
    if not all(map(NAME.fullmatch, (tenant, site, agent))) or not ID.fullmatch(invocation):
        raise ValueError("a name is none")
    return {
        "invocation": invocation, "site": site, "agent": agent, "code": code,
        "grant_digest": fields[4].hex(), "floor_digest": fields[5].hex() or None,
    }


def check_signature(der, signature, raw):
    for (prefix, length), curve, digest in (
            (P256, ec.SECP256R1(), hashes.SHA256()), (P384, ec.SECP384R1(), hashes.SHA384()), (ED25519, None, None)):
        key = der[len(prefix):]
        if not der.startswith(prefix) or len(key) != length:
            continue
        if curve is None:
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, raw)
        elif key[0] != 4:
            raise ValueError("a point in another form")
        else:
            ec.EllipticCurvePublicKey.from_encoded_point(curve, key).verify(signature, raw, ec.ECDSA(digest))
        return
    raise ValueError("a key of an unsuitable kind")


def prove_refusal(record):
    names = ["invocation", "site", "agent", "code", "grant_digest", "floor_digest"]
    proof = ["statement", "signature", "agent_key"]
    if not all(record.get(name) is None or is_text(record[name]) for name in names + proof):
        raise Flaw("not_a_record")
    try:
        if any(record.get(name) is None for name in proof):
            raise ValueError("a part is missing")
        raw, signature, der = (b64(record[name]) for name in proof)
        said = statement(raw)
        check_signature(der, signature, raw)
    except (ValueError, InvalidSignature) as error:
        raise Flaw("evidence", f"the evidence of the refusal does not hold: {error}") from None
    for name in names:
        if record.get(name) != said[name]:
            raise Flaw("evidence", f"the agent signed another {name} than the record has")


# --- what records promise ---

class Promises:
    def __init__(self, log, trusted):
        self.log, self.trusted, self.current = log, trusted, None
        self.intended, self.started, self.refused, self.is_whole = set(), 0, 0, True
        self.payloads, self.consents, self.enrolled = Payloads(), Consents(), {}

    def take(self, index, content, payload):
        record = read_object(content)
        if record is None or not is_text(record.get("at")) or not is_text(record.get("kind")):
            raise Flaw("not_a_record")
        if not all(record.get(name) is None or is_text(record[name]) for name in ("invocation", "job", "ran")):
            raise Flaw("not_a_record")
        is_readable = self.payloads.take(index, content, record, payload)
        kind = record["kind"]
        if self.is_whole and kind.startswith("approval_"):
            read = whole(content, record, payload, True) if is_readable else record
            self.consents.take(kind, read, is_readable)
        if self.is_whole and kind == "invocation_intended":
            self.consents.intended(record.get("job"))
        if kind in ("invocation_intended", "invocation_ended"):
            self.take_invocation(kind, record)
        if kind == "grant_refused" and is_readable:
            prove_refusal(whole(content, record, payload, True))
            self.refused += 1
        if kind == "payloads_erased":
            self.payloads.take_erasure(index, record)
        if kind == "payloads_removed":
            self.payloads.take_removal(index, record)
        if kind == "witness_enrolled":
            self.take_witness(record)
        if kind == "log_key_rotated":
            self.take_rotation(record)

    def take_invocation(self, kind, record):
        invocation = record.get("invocation")
        if not is_text(invocation) or not ID.fullmatch(invocation):
            raise Flaw("not_a_record")
        if kind == "invocation_intended":
            self.intended.add(invocation)
            return
        started, intended = record.get("ran") in ("ran", "may_have_run"), invocation in self.intended
        self.intended.discard(invocation)
        self.started += started
        if started and not intended and self.is_whole:
            raise Flaw("ran_without_intent")

    def take_witness(self, record):
        site, agent, text = (record.get(name) for name in ("site", "agent", "witness_key"))
        named = verifier_key(text) if is_text(text) else None
        if not is_text(site) or not is_text(agent) or named is None or named[0] != WITNESS:
            raise Flaw("not_a_record")
        self.enrolled[(site, agent)] = named[1:]

    def take_rotation(self, record):
        texts = [record.get(name) for name in ("old_key", "new_key", "statement")]
        if not all(map(is_text, texts)):
            raise Flaw("not_a_record")
        try:
            old = b64(texts[0])
            new = rotation(texts[2], self.log, old)
            if b64(texts[1]) != new:
                raise ValueError("it names another key than the record has")
        except ValueError as error:
            raise Flaw("rotation", str(error)) from None
        if self.is_whole and self.current not in (None, old):
            raise Flaw("rotation", "another key signed before")
        if old in self.trusted and new not in self.trusted:
            self.trusted.append(new)
        self.current = new

    def witnesses(self):
        """Those that the log names, by name and key id."""
        found = {}
        for _, (name, key) in sorted(self.enrolled.items()):
            found.setdefault((name, key_id(name, WITNESS, key)), key)
        return found


# --- the file ---

def lines(stream, count=0):
    while True:
        line = stream.readline(MAX_LINE)
        if not line:
            return
        count += 1
        if not line.endswith(b"\n"):
            raise Flaw("line", "its end is missing", count)
        yield count, line[:-1]


def content_of(line):
    if not CHECK.fullmatch(line[:17]):
        raise Flaw("line", "it does not begin with a check")
    if hashlib.sha256(line[17:]).hexdigest()[:16].encode() != line[:16]:
        raise Flaw("check", "the line was changed: it does not fit its check")
    return line[17:]


HEADS = {
    1: ["lictor_audit", "checkpoint"],
    2: ["lictor_audit", "from", "to", "filter", "checkpoint"],
    3: ["lictor_audit", "from", "to", "filter", "payloads", "checkpoint"],
}


def read_head(line):
    """(checkpoint, part or None, whether it has payloads)"""
    bad = Flaw("head", "it does not begin as an exported log does")
    is_first_form = line.startswith(b"{")
    content = line if is_first_form else content_of(line)
    head = read_object(content)
    form = head.get("lictor_audit") if head is not None else None
    if type(form) is not int or form not in HEADS or (form == 1) != is_first_form:
        raise bad
    names = HEADS[form]
    if set(head) != set(names) or not is_text(head["checkpoint"]):
        raise bad
    if form == 1:
        return head["checkpoint"], None, False
    again = json.dumps({name: head[name] for name in names}, separators=(",", ":"), ensure_ascii=False)
    if again.encode() != content or not all(type(head[name]) is int for name in ("from", "to")):
        raise bad
    if type(head.get("payloads", False)) is not bool or not (head["filter"] is None or is_text(head["filter"])):
        raise bad
    try:
        query = None if head["filter"] is None else read_query(head["filter"])
    except ValueError:
        raise bad from None
    return head["checkpoint"], (head["from"], head["to"], query), head.get("payloads", False)


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
    if not HASH.fullmatch(content):
        raise bad
    return number(index), number(count), bytes.fromhex(content.decode()), None, None


class Log:
    """A log on its way from its first line to its last."""

    def __init__(self, note, part, payloads, keys, known):
        try:
            self.checkpoint = Checkpoint(note)
            trusted = keys.of(self.checkpoint.name)
            self.checkpoint.signers(trusted)
        except ValueError as error:
            raise Flaw("checkpoint", f"the checkpoint proves nothing: {error}") from None
        self.part, self.payloads, self.keys, self.known, self.held = part, payloads, keys, None, 0
        if known is not None and known.name == self.checkpoint.name and known.size <= self.checkpoint.size:
            self.known = known
        if part and (part[0] > part[1] or part[1] > self.checkpoint.size):
            raise Flaw("outside", "it says that it has records that were never signed")
        self.tree, self.promises = Tree(), Promises(self.checkpoint.name, trusted)

    def read_line(self, number, line):
        return placed(number, None, lambda: read_entry(line, self.part, self.payloads, self.tree.size))

    def take_line(self, number, line):
        entry = self.read_line(number, line)
        placed(number, entry[0], lambda: self.take(entry))

    def copy(self):
        return copy.deepcopy(self, {id(kept): kept for kept in (self.checkpoint, self.keys, self.part, self.known)})

    def take(self, entry):
        index, count, root, content, payload = entry
        tree, size = self.tree, self.checkpoint.size
        if index != tree.size:
            raise Flaw("order", f"record {tree.size} was due and record {index} came")
        if index + count > size:
            raise Flaw("excess", f"there is more than the {size} records that were signed")
        start, end, query = self.part or (0, size, None)
        if root is not None:
            if query is None and index < end and index + count > start:
                raise Flaw("outside", "records are left out of the range that the file says it has")
            tree.push(count, root)
            self.promises.is_whole = False
            self.promises.payloads.left_out_to = index + count
            if self.known and index < self.known.size < tree.size:
                self.known = None
            self.agrees_with_known()
            return
        if not start <= index < end:
            raise Flaw("outside", "the record is not in the range that the file says it has")
        if query is not None:
            record = read_object(content)
            if record is None or not fits(query, whole(content, record, payload, payload is not None)):
                raise Flaw("outside", "the record does not fit the filter that the file says it has")
        tree.push(1, leaf_hash(content))
        self.agrees_with_known()
        self.promises.take(index, content, payload)
        self.held += 1

    def agrees_with_known(self):
        if self.known and self.known.size == self.tree.size and self.known.root != self.tree.root():
            raise Flaw("forked", f"the first {self.known.size} records are not those that were verified before")

    def finish(self, line):
        """What was found, in words; `line` is the last that was there."""
        size, promises = self.checkpoint.size, self.promises
        if self.tree.size < size:
            raise Flaw("short", f"there are {self.tree.size} records, and {size} were signed", line, self.tree.size)
        if self.tree.root() != self.checkpoint.root:
            raise Flaw("changed", "the records do not lead to the signed root: at least one was changed")
        erased = promises.payloads.finish()
        witnesses = self.keys.witnesses or promises.witnesses()
        try:
            signers = self.checkpoint.signers(promises.trusted)
            if not signers:
                raise Flaw("other_key", "neither a trusted key signed, nor one that the rotations lead to", 1)
            if promises.current is not None and promises.current not in signers:
                raise Flaw("retired_key", "the log itself says that another key signs since", 1)
            cosigners = self.checkpoint.cosigners(witnesses)
        except ValueError as error:
            raise Flaw("checkpoint", str(error), 1) from None
        anchored = "unanchored" if self.known is None else f"anchored at {self.known.size}"
        pinned = "known" if self.keys.witnesses else "named by the log"
        return (
            f"{self.held} of {size} records, {promises.started} started, {promises.refused} refused by sites, "
            f"{promises.payloads.held} payloads, {erased} erased, {promises.payloads.left_out} left out, {anchored}, "
            f"{len(cosigners)} witnesses {pinned}")


def placed(line, index, act):
    """`act()`, whose flaws are at this place."""
    try:
        return act()
    except Flaw as flaw:
        raise Flaw(flaw.code, flaw.why, flaw.line or line, flaw.index if flaw.index is not None else index) from None


def verify(stream, keys, known=None):
    """(name of the log, what was found)"""
    source = lines(stream)
    _, first = next(source, (1, b""))
    note, part, payloads = placed(1, None, lambda: read_head(first))
    log = placed(1, None, lambda: Log(note, part, payloads, keys, known))
    count = 1
    for count, line in source:
        log.take_line(count, line)
    return log.checkpoint.name, log.finish(count)


def told(flaw):
    place = "".join(f" {n}={v}" for n, v in (("line", flaw.line), ("index", flaw.index)) if v is not None)
    return f"{flaw.code}{place}"


def judged(act):
    try:
        return f"ok {act()}"
    except Flaw as flaw:
        return told(flaw)


class Prefix:
    """A file that was verified as far as some line; the lines before that are in common with changes of it."""

    def __init__(self, base, keys, known):
        self.base, self.keys, self.known = base, keys, known
        self.log, self.count, self.end, self.flaw = None, 0, 0, None

    def advance(self, at):
        """Goes on to the line in which this byte stands. Never back."""
        while self.flaw is None:
            end = self.base.find(b"\n", self.end, at) + 1
            if end == 0 or end - self.end > MAX_LINE:
                return
            line = self.base[self.end:end - 1]
            try:
                if self.log is None:
                    note, part, payloads = placed(1, None, lambda: read_head(line))
                    self.log = placed(1, None, lambda: Log(note, part, payloads, self.keys, self.known))
                else:
                    self.log.take_line(self.count + 1, line)
            except Flaw as flaw:
                self.flaw = flaw
            self.count, self.end = self.count + 1, end

    def judge(self, at, end, insert):
        """What is found when the bytes from `at` to `end`, behind this, are others."""
        if self.flaw is not None:
            raise self.flaw
        if self.log is None:
            return verify(io.BytesIO(self.base[:at] + insert + self.base[end:]), self.keys, self.known)[1]
        # Copied as late as that: most changes are found in a line before anything is taken of it.
        log, is_own, count = self.log, False, self.count
        rest = io.BytesIO(self.base[self.end:at] + insert + self.base[end:])
        for count, line in lines(rest, count):
            entry = log.read_line(count, line)
            if not is_own:
                log, is_own = log.copy(), True
            placed(count, entry[0], lambda: log.take(entry))
        return (log if is_own else log.copy()).finish(count)


def judge_mutations(path, keys, known):
    with open(path, "rb") as file:
        base = file.read()
    splices, answers = [json.loads(line) for line in sys.stdin], {}
    prefix = Prefix(base, keys, known)
    for number in sorted(range(len(splices)), key=lambda number: splices[number]["at"]):
        splice = splices[number]
        at, end, insert = splice["at"], splice["at"] + splice["remove"], base64.b64decode(splice["insert"])
        prefix.advance(at)
        answers[number] = judged(lambda: prefix.judge(at, end, insert))
        if number % ONE_IN == 0:
            changed = io.BytesIO(base[:at] + insert + base[end:])
            again = judged(lambda: verify(changed, keys, known)[1])
            if again != answers[number]:
                sys.exit(f"{splice}: {answers[number]}, and from the first line {again}")
    for number in range(len(splices)):
        print(answers[number])


def read_known(path, keys):
    with open(path, encoding="utf-8", newline="") as file:
        known = Checkpoint(file.read())
    if not known.signers(keys.of(known.name)):
        raise ValueError("it is not signed with a trusted key")
    return known


def main():
    arguments = argparse.ArgumentParser(description="verify an exported audit log")
    arguments.add_argument("file")
    trusted = arguments.add_mutually_exclusive_group(required=True)
    trusted.add_argument("--key")
    trusted.add_argument("--keys")
    arguments.add_argument("--known")
    arguments.add_argument("--mutations", action="store_true")
    given = arguments.parse_args()
    keys = Keys()
    try:
        if given.key:
            keys.add_plain(given.key)
        else:
            with open(given.keys, encoding="utf-8", newline="") as file:
                keys.read(file.read())
    except ValueError as error:
        sys.exit(f"not a key: {error}")
    try:
        known = read_known(given.known, keys) if given.known else None
    except ValueError as error:
        sys.exit(f"{given.known} proves nothing: {error}")
    if given.mutations:
        judge_mutations(given.file, keys, known)
        return
    with open(given.file, "rb") as stream:
        try:
            name, found = verify(stream, keys, known)
        except Flaw as flaw:
            print(f"{told(flaw)}: {flaw.why}")
            sys.exit(8)
    print(f"ok {name}: {found}")


if __name__ == "__main__":
    main()
