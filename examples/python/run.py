"""Reads a range with any pipeline:source component: run.py COMPONENT CONFIG SINCE UNTIL

CONFIG is the file with the source's configuration, SINCE and UNTIL are Unix times in seconds. Prints one JSON object an
event: its key, and its body as the service sent it but for the line breaks of a pretty-printed one.
"""

import json
import sys
import time

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record, Variant

SOURCE = "pipeline:source/source@0.1.0"
POLLS_OF_AN_INSTANCE = 2
MEMORY = 64 << 20


def record(**fields):
    made = Record()
    made.__dict__.update({name.replace("_", "-"): value for name, value in fields.items()})
    return made


# Small, so that a short range takes several polls.
BUDGET = record(max_events=1, max_bytes=1 << 20, max_requests=10, max_duration=30 * 10**9)


class Source:
    """A component, of which an instance can be made at any time: nothing depends on what one remembers."""

    def __init__(self, path):
        self.engine = Engine()
        self.component = Component.from_file(self.engine, path)
        self.linker = Linker(self.engine)
        self.linker.add_wasip2()
        self.linker.add_wasi_http()

    def fresh_poll(self):
        store = Store(self.engine)
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        store.set_limits(memory_size=MEMORY)
        instance = self.linker.instantiate(store, self.component)
        interface = instance.get_export_index(store, SOURCE)
        poll = instance.get_func(store, instance.get_export_index(store, "poll", interface))

        def call(config, position):
            result = poll(store, config, position, BUDGET)
            poll.post_return(store)
            return result

        return call


def events(path, config, since, until):
    source = Source(path)
    instant = lambda seconds: record(seconds=seconds, nanoseconds=0)
    position = (instant(since), instant(until))
    polls = 0
    while True:
        if polls % POLLS_OF_AN_INSTANCE == 0:
            poll = source.fresh_poll()
        polls += 1
        batch = poll(config, position)
        if isinstance(batch, Variant):  # a failure: each case says who has to act
            sys.exit(f"error: {batch.tag}: {json.dumps(batch.payload, default=vars, indent=2)}")
        yield from batch.events
        # A host that keeps checkpoints stores this one now, the events being where they belong.
        position = batch.checkpoint
        if batch.next.tag == "ended":
            return
        if batch.next.tag == "after":
            time.sleep(batch.next.payload / 1e9)


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    component, config_file, since, until = sys.argv[1:]
    with open(config_file, encoding="utf-8") as file:
        config = file.read()
    for event in events(component, config, int(since), int(until)):
        body = event.body.replace("\r", "").replace("\n", "")
        print(f'{{"key":{json.dumps(event.key)},"body":{body}}}')


main()
