"""Messages as people read them."""

from exchanges.interactive_brokers.core.wire import Message, text


def line_of(message: Message) -> str:
    """A message as a line; empty for those that say nothing new."""
    fields = [text(field) for field in message]
    if fields[0] == "5":
        return f"order {fields[1]}  {fields[13]} {fields[14]} {fields[11]} {fields[15]} {fields[16]}".rstrip()
    if fields[0] == "3":
        return f"order {fields[1]}  {fields[2]}  {fields[3]} filled, {fields[4]} left"
    if fields[0] == "11":
        return f"order {fields[2]}  {fields[18]} {fields[19]} {fields[12]} at {fields[20]}"
    return ""
