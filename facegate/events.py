"""Every event that facegate writes: its name, MESSAGE_ID, priority, and what to make of it.

The names and ids never change: operators filter by them. The texts are those of the message
catalog, which `journalctl -x` shows below the entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventName = Literal[
    "started",
    "ready",
    "stopped",
    "camera_opened",
    "camera_lost",
    "camera_back",
    "granted",
    "grant_refused",
    "denied",
    "unknown",
    "face_refused",
    "person_changed",
    "turn_wanted",
    "turn_missing",
    "decision_too_old",
    "duress",
    "second_factor_wanted",
    "second_factor_refused",
    "second_factor_expired",
    "door_unlocked",
    "door_kept_unlocked",
    "door_prolonged",
    "door_locked",
    "door_opened",
    "door_closed",
    "door_authorised",
    "door_held_open_warning",
    "door_held_open",
    "door_forced_open",
    "tamper_began",
    "tamper_ended",
    "lockdown_began",
    "lockdown_ended",
    "lockout_began",
    "lockout_ended",
    "hours_unsure",
    "clock_set",
    "enrol_armed",
    "enrol_button_ignored",
    "enrol_began",
    "enrolled",
    "enrolment_refused",
    "person_renamed",
    "person_removed",
    "role_changed",
    "pin_set",
    "settings_reloaded",
    "settings_refused",
    "group_changed",
    "note_changed",
    "pass_changed",
    "person_forgotten",
    "templates_dropped",
    "settings_changed",
    "key_rotated",
    "backup_made",
    "backup_failed",
    "backup_restored",
    "audit_cut",
    "audit_missing",
    "audit_renewed",
    "store_older",
    "store_newer",
    "records_lost",
    "store_reloaded",
    "store_unread",
    "commanded",
    "command_refused",
    "command_failed",
    "repeated",
    "panel_failed",
    "audit_failed",
    "metrics_failed",
    "stalled",
    "part_failed",
    "stall_over",
    "start_failed",
    "relay_failed",
]


@dataclass(frozen=True)
class EventKind:
    """What all events of one name have in common.

    Attributes:
        message_id: 128-bit hexadecimal id of the systemd journal.
        priority: of syslog; 6 is info, 5 a notice, 4 a warning, 3 an error, 2 critical, 1 an alert.
        subject: one line.
        advice: what an operator should know or do; may be empty.
    """

    message_id: str
    priority: int
    subject: str
    advice: str = ""


EVENTS: dict[EventName, EventKind] = {
    "started": EventKind(
        "26ab6358015b4cff96f216478f93f1ce",
        6,
        "facegate is starting",
        "The networks are loaded. The strike is held since before this line.",
    ),
    "ready": EventKind(
        "825debd64ca8487d80f025d58e1f389b",
        6,
        "The gate watches the door",
        "Camera, store and networks are at work.",
    ),
    "stopped": EventKind(
        "fe0e323e30a24780a9c2baeb1f09f0ea",
        6,
        "facegate has stopped",
        "The strike is held and its line released.",
    ),
    "camera_opened": EventKind("fe44e669c7394b78b91a755d106f30b0", 6, "The camera was opened"),
    "camera_lost": EventKind(
        "8b107c9d8f854dd7ba4fc4aff958ab99",
        3,
        "The camera is lost",
        "It gives no pictures any more, or was not there at the start. Nobody is recognised; the "
        "exit button and commands still open. The camera is opened again "
        "camera.reopen_attempts times, then facegate ends and systemd starts it again. Check the "
        "ribbon or USB cable, the power (`facegate doctor`) and dmesg.",
    ),
    "camera_back": EventKind("734a62f1c23b488eb7696ea2e96fbd80", 5, "The camera is back"),
    "granted": EventKind(
        "c02070966d594635b76d9f7dba37e33d",
        6,
        "Somebody was let in",
        "Enough looks at one face agreed on an enrolled person. FACEGATE_LATENCY_MS is the "
        "time from the frame to the relay.",
    ),
    "grant_refused": EventKind(
        "900024c57fe449369eaf984068e85765",
        5,
        "A known person, or a command, was not let in",
        "The face was recognised, but lockdown, tamper, a lockout, the hours or their pass kept it "
        "out; where there are groups, whoever is in none of schedule.groups has no hours. A pass "
        "with an end waits for the network's time (schedule.battery_clock). Without a person it "
        "was `facegate door unlock`. See FACEGATE_REASON; `facegate status` shows what is in "
        "force, `facegate people list` the passes.",
    ),
    "denied": EventKind(
        "b2b2f5b6a0d54d9b928c4281ff0819f7",
        5,
        "A face was too near to two people",
        "It resembled FACEGATE_PERSON, but FACEGATE_RUNNER_UP almost as much: the second may be "
        "who stood there. `facegate people list` says who they are. Give both more looks, in the "
        "light of the door: `facegate enroll NAME --more`.",
    ),
    "unknown": EventKind(
        "ace869b733b74737a42ca7a04b5955a6",
        5,
        "A stranger stood before the door",
        "If this was somebody enrolled, enrol them again in the light of the door, and see "
        "FACEGATE_DISTANCE against the threshold in `facegate status`.",
    ),
    "face_refused": EventKind(
        "0db148c2b53b4148a67ba38a4e515b44",
        6,
        "A face was not good enough to be compared",
        "FACEGATE_REASONS says why: too_small, blurred, too_dark, too_bright, turned_away, "
        "occluded (a mask, a hand), cut_off by the picture's edge, short_embedding (the network "
        "saw too little of it). Often: more light, or the camera lower.",
    ),
    "person_changed": EventKind(
        "d51751e848e145208d54bd52c1a8e95a",
        6,
        "Somebody else stepped before the camera in one person's place",
        "Their looks do not resemble each other. What was known of the first counts no more: the "
        "second is judged from the beginning.",
    ),
    "turn_wanted": EventKind(
        "1e311ba0066f4e96a7034acbd76fdd5c",
        6,
        "Somebody was recognised and must turn their head",
        "access.liveness asks for it, so that a picture of them does not open the door: from one "
        "side to the other, as one who says no.",
    ),
    "turn_missing": EventKind(
        "d65081f1b6b1435eb5cd340daa7332d5",
        4,
        "A face was recognised and did not turn",
        "It may be a picture of somebody enrolled, or somebody who does not know that access."
        "liveness asks them to turn their head, or turns it too far (30° is enough) or too fast "
        "for the camera. FACEGATE_REASON is left_unturned for whoever went away before the time "
        "was up. It counts towards the lockout.",
    ),
    "decision_too_old": EventKind(
        "7f2baa4b30524e79a591d48d9ec7ad3b",
        4,
        "A decision came too late and opened nothing",
        "The processor is too slow or too hot for the work. `facegate status` shows the "
        "dropped frames.",
    ),
    "duress": EventKind(
        "2b84991c729b419c92f20cd63dd9c879",
        1,
        "A person enrolled for duress was seen",
        "Whoever came gave the sign agreed for a threat. Act as agreed; do not call back at "
        "the door.",
    ),
    "second_factor_wanted": EventKind(
        "2688f858e57042278199480cc48d6d8d", 6, "The door waits for the second factor"
    ),
    "second_factor_refused": EventKind(
        "483efa2658304542ae12598aacf22805",
        4,
        "The second factor was wrong",
        "The face must be shown again.",
    ),
    "second_factor_expired": EventKind(
        "aabdbc6df4184553bb256094aa63f3ff", 5, "The second factor did not come in time"
    ),
    "door_unlocked": EventKind("8e6fbf2d627447a6ab1b48b9c404e6d8", 6, "The strike was released"),
    "door_kept_unlocked": EventKind(
        "d401ddccab834bf6a40df96796816344",
        5,
        "The door stands unlocked for a time",
        "Somebody said `facegate door unlock --minutes`; the next command names who. "
        "`facegate door lock` ends it, as a lockdown, an opened case and a restart do.",
    ),
    "door_prolonged": EventKind(
        "c4549f5b36ba4424b170f74d63dbeaab",
        6,
        "The strike stays released longer",
        "A second grant, the exit button or a command came during the pulse.",
    ),
    "door_locked": EventKind("46d2000100354f65a7115cbc965c0a7b", 6, "The strike is held again"),
    "door_opened": EventKind("c1cde5aa9c5f4baebfd4e24e211d7233", 6, "The door was opened"),
    "door_closed": EventKind("fd28e47b0412486ca2a09b3e619ebc2b", 6, "The door was closed"),
    "door_authorised": EventKind(
        "ba8e8c1dbda84aa5825b37552bcaca82",
        6,
        "The door may stand open again",
        "Somebody with the right to came while it stood open.",
    ),
    "door_held_open_warning": EventKind(
        "ad2cd8942f4e46d4b19dc083c426fa77",
        4,
        "The door stands open",
        "Close it, or the alarm follows.",
    ),
    "door_held_open": EventKind(
        "e326f27f75fb4f38a0ae76a4fdff217d",
        2,
        "The door was left open",
        "It stood open for door.held_open_alarm_s. Close it and see what holds it.",
    ),
    "door_forced_open": EventKind(
        "228cf1ace9494144a92b6cf791483c7a",
        1,
        "The door was forced open",
        "It opened while the strike was held. Look for damage; if the door is sound, the "
        "contact's wiring or the latch's play is wrong.",
    ),
    "tamper_began": EventKind(
        "e7f996a11160453e8193d912faf149e9",
        1,
        "The tamper switch tripped",
        "Somebody opened the case. Faces, unlock hours and `facegate door unlock` are kept out "
        "until it is closed; only the exit button opens.",
    ),
    "tamper_ended": EventKind(
        "6e60dcf744924dbcbd76d8268e0baee0", 4, "The tamper switch is closed again"
    ),
    "lockdown_began": EventKind(
        "9478d2e98a6e444d84f549a6ce70a787",
        4,
        "Lockdown",
        "Faces, unlock hours and `facegate door unlock` are kept out; only the exit button opens. "
        "`facegate door lockdown off` ends it.",
    ),
    "lockdown_ended": EventKind("fe83ff08125049a3a0f2c6b8e49ce5eb", 5, "Lockdown is over"),
    "lockout_began": EventKind(
        "5e10e51fc70f49558e67df3618fcb8a0",
        4,
        "Too many refusals: faces are locked out for a while",
        "Faces were refused, or PINs wrong, door.lockout_attempts times, whoever it was, with "
        "nobody let in between.",
    ),
    "lockout_ended": EventKind(
        "eb0a567d53f44645b8aaa8781f874f8b", 5, "Faces are let in again after a lockout"
    ),
    "clock_set": EventKind(
        "21cf77b703cd49c1a2f13d1690f1cb6f",
        5,
        "The clock was set",
        "FACEGATE_FORWARD_S says how far forward, below 0 back: by the network's time after a "
        "start, by somebody, or the machine slept. What was recorded before was so much off.",
    ),
    "hours_unsure": EventKind(
        "1b7f6756451048be93ab4d47bea73ff3",
        4,
        "Unlock hours wait for the right time",
        "A clock without a battery goes on, after a power cut, from when the power failed. The "
        "door stands unlocked once systemd-timesyncd has the network's time: connect a network, or "
        "set schedule.battery_clock where the clock has a battery or something else keeps it.",
    ),
    "enrol_armed": EventKind(
        "6a2f73e01ce1478c95cc23aed4cbbf0a",
        5,
        "The enrolment button is armed",
        "The administrator FACEGATE_PERSON was recognised.",
    ),
    "enrol_button_ignored": EventKind(
        "37700308e954470fb487267eceef4f08",
        4,
        "The enrolment button was pressed while not armed",
        "An administrator has to be recognised first; nothing was changed.",
    ),
    "enrol_began": EventKind("040ccad34e47409ebdb0ec50fc199708", 5, "An enrolment began"),
    "enrolled": EventKind(
        "9298466fb17d4b2a92d576b464764f1e",
        5,
        "A person was enrolled",
        "FACEGATE_LOOKS were taken, FACEGATE_TEMPLATES are kept: where these are more, the "
        "looks were added to somebody enrolled before.",
    ),
    "enrolment_refused": EventKind(
        "00d1169b29554c17a6f8fef6af4866ee",
        4,
        "An enrolment was refused",
        "Nobody was enrolled; the message says why.",
    ),
    "person_renamed": EventKind("2ba6e8a6d842414b8f0527faae964b5e", 5, "A person was renamed"),
    "person_removed": EventKind("1aba3752dad54d20b080614e059a45ec", 5, "A person was removed"),
    "role_changed": EventKind("e029de9a67454a12a879f0eaa12e9778", 5, "A person's role was changed"),
    "pin_set": EventKind(
        "d5b3da79af2248a2b1cfbcbd4c0a6f6c",
        5,
        "The door has a new PIN",
        "Root set it, with `sudo facegate door pin`.",
    ),
    "settings_reloaded": EventKind(
        "7dd5151189d440da80f9a35c330bde65",
        5,
        "The settings were read again",
        "Access, door rules and hours are in force; the message names what waits for a restart.",
    ),
    "settings_refused": EventKind(
        "b6d602b630414807a35908102f9b0318",
        4,
        "Changed settings were not taken on",
        "The old ones stay in force. `facegate config check` finds every mistake.",
    ),
    "group_changed": EventKind(
        "2dc683d3185e4ec18acd45f521cc4e5d", 5, "A person's group was changed", ""
    ),
    "note_changed": EventKind(
        "5c5761884aab42b3870f1d2f67f853cb", 5, "A note on a person was changed", ""
    ),
    "pass_changed": EventKind(
        "cc915ab80aca4c7b9e38ceda44233458",
        5,
        "From when on a person is not let in was changed",
        "`facegate people until NAME` shows it; with `never` behind it takes the end away.",
    ),
    "person_forgotten": EventKind(
        "7b1bc35bf73d4ea88b4ff95dc106b088",
        5,
        "A person was erased from everything",
        "Of their bytes FACEGATE_FOUND were found in FACEGATE_FILES files that were searched "
        "afterwards. No files: the search did not come to pass, and the command said why.",
    ),
    "templates_dropped": EventKind(
        "48a1ae11d9ab4a77b9b1273a54c59bf3",
        4,
        "The templates of another model were dropped",
        "The network changed. People, roles and groups stayed; enrol everybody again at their next "
        "visit: `facegate enroll NAME`.",
    ),
    "settings_changed": EventKind(
        "890d194cdd0a49289415e6d2231e6fd6",
        5,
        "Settings, or the embedder's card, were changed since the last start",
        "The card says which distance is how many false matches. The fingerprints in the message "
        "are those of the `started` events before and now.",
    ),
    "key_rotated": EventKind(
        "86602ceb3d104db7ad3a661f9a30198a",
        4,
        "The store's key was changed",
        "Everything was sealed again, and a new backup replaced those under the old key.",
    ),
    "backup_made": EventKind(
        "df5d985087434b3d9e0822c976132997", 6, "A backup of the store was made and verified", ""
    ),
    "backup_failed": EventKind(
        "21e9d321b1c34c56a15e9e8492c012f7",
        3,
        "The store could not be backed up",
        "The gate goes on. Usually the card is full or fails: make room, or see dmesg.",
    ),
    "backup_restored": EventKind(
        "55c2d0b787ef48149c3252583e3c2c87",
        4,
        "The store was put back from a backup",
        "Whatever changed after the backup (people, blocks, passes, roles, groups) must be changed "
        "again: whoever was blocked or erased since is there again. Of those erased `forgotten` "
        "gives the numbers; `sudo facegate people forget NUMBER` erases them again.",
    ),
    "audit_cut": EventKind(
        "17acde0d297147dfa37b26310809042e",
        5,
        "Old records were taken out of the audit trail",
        "As audit.keep_days and audit.max_mb say. The trail begins with a signed line that names "
        "what was taken out.",
    ),
    "audit_renewed": EventKind(
        "35f690840da84e35aca5417e5b015318",
        4,
        "A new audit trail was begun",
        "The old one was not whole. It lies beside the new one, under the name in FACEGATE_ASIDE.",
    ),
    "store_older": EventKind(
        "4d1ebda2033547c3bd9b557d4b013623",
        3,
        "The enrolment store is older than the audit trail",
        "It was put back from a copy, and no `facegate restore` is recorded: whoever was forgotten "
        "since may be in it. If nobody did that, somebody had the card: see `facegate people "
        "list`, and put back a backup.",
    ),
    "store_newer": EventKind(
        "e7435af7f97e479a88d8ebcc7247f2d0",
        3,
        "The enrolment store was changed without a record",
        "The power went at the moment of a change, or nothing could be recorded; else somebody had "
        "the card and the key, and may have enrolled themselves: see `facegate people list`.",
    ),
    "audit_missing": EventKind(
        "5c2062e16801405c9617328cf20d3205",
        3,
        "People are enrolled, but the audit trail is empty",
        "It was removed, or the store was brought here without it. Recording begins anew; what "
        "happened before is told by a backup at best.",
    ),
    "records_lost": EventKind(
        "10cf816475234518b453f4902800763c",
        3,
        "Events are missing from the audit trail",
        "More happened than could be written, or the disk took nothing for a while. The trail says "
        "how many are missing and where; this journal has them. If it comes again, check the card.",
    ),
    "store_reloaded": EventKind(
        "6dfebf8c981f4124a54bd9716d15b067", 6, "The enrolment store was read again"
    ),
    "store_unread": EventKind(
        "99cf063077494db0944151c5f453419f",
        3,
        "A change of the enrolment store is not in force",
        "The store was changed and cannot be read again: a record in it is damaged. Whoever was "
        "enrolled before is known as before, but for people removed meanwhile. It is tried again "
        "and again; `facegate restore --latest --replace`, with facegate stopped, puts the newest "
        "good copy back.",
    ),
    "commanded": EventKind(
        "875de0c16a96482f98ae83d0aa23c05c",
        6,
        "Somebody commanded facegate over its socket",
        "FACEGATE_BY says which user, FACEGATE_COMMAND what, FACEGATE_STATUS how it ended.",
    ),
    "command_refused": EventKind(
        "441a3e7ba2d046c1851a5d34ff75384c",
        4,
        "A user asked for what only root may do",
        "Nothing was done. FACEGATE_BY says which user asked.",
    ),
    "command_failed": EventKind(
        "ac286b764ef04b43a02e8d9fa6d31532",
        3,
        "A command failed by a defect of facegate",
        "The gate goes on. Please report the message.",
    ),
    "repeated": EventKind(
        "b5f655a6f59147df9d4dd08e25a34b4a",
        5,
        "Something happened again and again",
        "The first was written in full; FACEGATE_REPEATED says what it was, FACEGATE_TIMES how "
        "often it happened since. The audit trail has each unknown, denied, grant_refused and "
        "decision_too_old.",
    ),
    "panel_failed": EventKind(
        "3090d072d3cb4a6f91925b388a49cda5",
        4,
        "The panel cannot be driven",
        "The door goes on without lights. Check the panel's lines and wiring.",
    ),
    "audit_failed": EventKind(
        "f859bfe66fa54dda87f8e79ef844d75c",
        3,
        "The audit trail cannot be written",
        "The door goes on, unrecorded but for this journal. Usually the card is full: make room, "
        "and it is recorded again.",
    ),
    "metrics_failed": EventKind(
        "629525187fbd496cb44eb9982e22e1ca",
        4,
        "The metrics file cannot be written",
        "The door goes on. Check metrics.textfile, its folder's owner, and that the unit may write "
        "there (ReadWritePaths=; see docs/operating.md).",
    ),
    "stalled": EventKind(
        "84160298de5c4f11b90e49fc958be53d",
        3,
        "A part of facegate stands still",
        "systemd restarts facegate when it goes on. The camera: check its cable, and dmesg. The "
        "store alone: the gate goes on with who is in memory. Do not restart it, it may not start "
        "again: see `facegate doctor`, line space.",
    ),
    "stall_over": EventKind("84c19c0b3677449691741a26a8a095d8", 5, "What stood still moves again"),
    "start_failed": EventKind(
        "f23279a92fbe40d5b3d632972bbb976b",
        3,
        "facegate could not start",
        "The message says why and what to do; `facegate doctor` looks at everything. The strike is "
        "held, unless the message is about a line or a chip: then nobody knows, look at the door. "
        "systemd tries again. Wrong settings write no such event and are not tried again: "
        "`systemctl status facegate` shows them.",
    ),
    "relay_failed": EventKind(
        "3b8631bfc2e648afb880062ee4d58b95",
        2,
        "The relay cannot be driven",
        "The strike may be released: look at the door, and lock it by hand if need be. facegate "
        "ends, and systemd starts it again. Check door.relay, its wiring, and dmesg.",
    ),
    "part_failed": EventKind(
        "079165f2d0064d87aff692ce87bf39e8",
        3,
        "A part failed and facegate ends",
        "The strike is held; systemd starts facegate again. The message names the part.",
    ),
}
