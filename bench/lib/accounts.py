"""Compares what clients saw with what the server wrote down."""

import collections
import json
import urllib.parse


def records(paths):
    """Records by the tag of their request, and how many had none."""
    by_tag, untagged = collections.defaultdict(list), 0
    for path in paths:
        with open(path) as lines:
            for line in lines:
                record = json.loads(line)
                query = urllib.parse.urlsplit(record["target"]).query
                tag = urllib.parse.parse_qs(query).get("n")
                if tag:
                    by_tag[tag[0]].append(record)
                else:
                    untagged += 1
    return by_tag, untagged


def notes(paths):
    found, unconnected = [], 0
    for path in paths:
        with open(path) as lines:
            for line in lines:
                note = json.loads(line)
                if "unconnected" in note:
                    unconnected += 1
                else:
                    found.append(note)
    return found, unconnected


def disagreement(note, found):
    """Why a note and its records cannot both be true, or None."""
    if note.get("wrong"):
        return "complete, but " + note["wrong"]
    answered = note.get("status") is not None
    if len(found) > 1:
        return f"{len(found)} records"
    if not found:
        return "an answer without a record" if answered else None
    record = found[0]
    if answered and note["status"] and record["status"] != note["status"]:
        return f"the client saw status {note['status']}, the record has {record['status']}"
    if note["ending"] == "complete":
        if record["ending"] != "complete":
            return f"the client saw it complete, the record says {record['ending']}"
        if record["octets_sent"] != note["octets"]:
            return f"the client has {note['octets']} octets, the record {record['octets_sent']}"
    if note["ending"] == "failed" and answered and record["ending"] == "complete":
        return "the client saw it fail, the record says complete"
    if record["octets_sent"] < note.get("octets", 0):
        return f"the client has {note['octets']} octets, the record only {record['octets_sent']}"
    return None


def settle(note_paths, log_paths):
    """Counts, and every disagreement as (why, note, records)."""
    seen, unconnected = notes(note_paths)
    by_tag, untagged = records(log_paths)
    counts = collections.Counter((note["kind"], note["ending"]) for note in seen)
    wrong = []
    for note in seen:
        why = disagreement(note, by_tag.get(note["tag"], []))
        if why:
            wrong.append((why, note, by_tag.get(note["tag"], [])))
    known = {note["tag"] for note in seen}
    wrong += [("a record that no client asked for", {"tag": tag}, found)
              for tag, found in by_tag.items() if tag not in known]
    return {
        "requests": len(seen), "answered": sum(note.get("status") is not None for note in seen),
        "records": sum(map(len, by_tag.values())), "untagged records": untagged,
        "unconnected": unconnected, "endings": counts,
        "record endings": collections.Counter(
            found["ending"] for some in by_tag.values() for found in some),
    }, wrong
