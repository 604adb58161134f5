"""What came of verifying the audit, as people read it."""

from rich.text import Text

from flotilla.client.audit_chain import AuditVerdict
from flotilla.show import formats


def verdict_text(verdict: AuditVerdict) -> Text:
    """What holds, what was deleted, what it was compared with, and first of all what is wrong."""
    said = Text()
    if verdict.problem is not None:
        said.append(f"{verdict.problem.kind}: {verdict.problem.text}\n", style="red")
        said.append("the audit is not what was recorded\n", style="red")
    else:
        said.append(f"{verdict.entries} entries are what was recorded\n")
    if verdict.head is not None:
        said.append(f"head {verdict.head.seq}:{verdict.head.hash}\n")
    if pruned := verdict.pruned:
        when = formats.moment(pruned.at)
        said.append(
            f"entries 1 to {pruned.seq} were deleted because of their age, the last on {when}: {pruned.rule}\n"
        )
    if verdict.compared:
        said.append(
            f"compared with {verdict.compared} heads kept elsewhere, the last of entry {verdict.last_known}\n"
        )
    else:
        said.append(
            "compared with no head kept elsewhere: that its end was cut would not be seen\n", style="yellow"
        )
    if verdict.unprotected:
        said.append(
            f"the orchestrator connects {verdict.unprotected}: entries can be changed by it, and by whoever has its login\n",
            style="yellow",
        )
    said.rstrip()
    return said
