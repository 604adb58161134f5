"""Where the durable consumers of the streams stand, for a backup to note and a restore to set back."""

from typing import Final

import msgspec
from nats import errors
from nats.js import api
from nats.js import errors as js_errors

from flotilla.bus.bus import Bus
from flotilla.bus.streams import ACK_WAIT_S
from flotilla.schemas.contract import STREAMS
from flotilla.schemas.fault import FaultCode, fault

_TIMEOUT_S: Final = 10.0


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer: all of its stream up to `seq` was handled by its service, and nothing less was.

    `epoch` names the stream from its making on: one that was made anew counts anew.
    """

    stream: str
    durable: str
    epoch: str
    seq: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream keeps."""

    stream: str
    epoch: str
    first: int
    last: int


class SetBack(msgspec.Struct, frozen=True, kw_only=True):
    """What is read again by one consumer: all from `start` on. Of what it lacks, `gone` is no longer kept."""

    stream: str
    durable: str
    start: int
    again: int
    gone: int = 0
    is_new_stream: bool = False


async def readers(bus: Bus) -> list[Reader]:
    """The durable consumers of all streams that there are. Raises FaultError `unavailable`."""
    js = bus.client.jetstream(timeout=_TIMEOUT_S)
    found: list[Reader] = []
    try:
        for stream in await kept(bus):
            for info in await js.consumers_info(stream.stream):
                if info.config.durable_name and info.ack_floor is not None:
                    place = info.ack_floor.stream_seq
                    found.append(
                        Reader(
                            stream=stream.stream,
                            durable=info.config.durable_name,
                            epoch=stream.epoch,
                            seq=place,
                        )
                    )
    except (errors.Error, js_errors.Error, TimeoutError) as error:
        raise _unreadable(error) from error
    return found


async def kept(bus: Bus) -> list[Kept]:
    """What the streams of the contract keep, those that there are. Raises FaultError `unavailable`."""
    js = bus.client.jetstream(timeout=_TIMEOUT_S)
    found: list[Kept] = []
    for stream in STREAMS:
        try:
            info = await js.stream_info(stream.name)
        except js_errors.NotFoundError:
            continue
        except (errors.Error, js_errors.Error, TimeoutError) as error:
            raise _unreadable(error) from error
        created = info.created
        epoch = f"{created.timestamp():.0f}" if created is not None else ""
        state = info.state
        found.append(Kept(stream=stream.name, epoch=epoch, first=state.first_seq, last=state.last_seq))
    return found


async def set_back(bus: Bus, reader: Reader) -> SetBack | None:
    """Has a consumer read on from this place, whatever it has read since. None when its stream is not there.

    Where the stream was made anew it reads all of it. It must not be read from meanwhile. Done again it changes nothing. Raises
    FaultError `unavailable`.
    """
    stream = next((one for one in await kept(bus) if one.stream == reader.stream), None)
    if stream is None:
        return None
    is_new = stream.epoch != reader.epoch
    start = 1 if is_new else reader.seq + 1
    js = bus.client.jetstream(timeout=_TIMEOUT_S)
    try:
        known = (await js.consumer_info(reader.stream, reader.durable)).config
        await js.delete_consumer(reader.stream, reader.durable)
    except js_errors.NotFoundError:
        # The service makes its own when there is none, with the settings that follow but for the place.
        known = api.ConsumerConfig(ack_policy=api.AckPolicy.EXPLICIT, ack_wait=ACK_WAIT_S)
    except (errors.Error, js_errors.Error, TimeoutError) as error:
        raise _unreadable(error) from error
    known.durable_name, known.name = reader.durable, None
    known.deliver_policy, known.opt_start_seq = api.DeliverPolicy.BY_START_SEQUENCE, start
    try:
        await js.add_consumer(reader.stream, known)
    except (errors.Error, js_errors.Error, TimeoutError) as error:
        raise _unreadable(error) from error
    first = max(start, stream.first)
    return SetBack(
        stream=reader.stream,
        durable=reader.durable,
        start=start,
        again=max(0, stream.last - first + 1),
        gone=0 if is_new else min(max(0, stream.first - start), max(0, stream.last + 1 - start)),
        is_new_stream=is_new,
    )


def _unreadable(error: Exception) -> Exception:
    text = f"where the streams' readers stand cannot be read or set: {error!r}"
    return fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0)
