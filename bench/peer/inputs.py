"""Makes inputs for the metrics handler: ordinary machines, and every odd thing that JSON allows them to say.

One input is one line of JSON that the peer has a result for. The same seed gives the same inputs. An input is made as
a list of pairs of JSON texts, since a dict could not hold a key twice nor tell `1e2` from `100.0`.
"""
import json
import random

HUGE = 2**64 - 1
NEAR_MISSES = [
    "cpu_percent", "cpu_percent-", "cpu_percent--1", "cpu_percent-1a", "cpu_percent- 1", "CPU_percent-1",
    "net_io_counters_-bytes_sent", "net_io_counters_eth0-bytes_sent11", "net_io_counters_eth0-bytes_sent2",
    "net_io_counters_eth0-packets_sent", "net_io_counters_a\nb-bytes_sent", "net_io_counters_eth0_bytes_recv",
    "virtual_memory-Total", "virtual_memory-total1", "timestamps", "n_pids", "", "é", "\u2028", "😀", "a\"b\\c\t",
]
INTERFACES = [
    "eth1", "wlan0", "docker0", "br-12ab", "eth0.100", "eth01", "lo0", "é", "😀", "a b", "-", "1",
    "a-bytes_sent", "eth0-bytes_recv1", "veth\"quoted\"", "tab\there",
]
TIMESTAMPS = [
    "2025-11-30T10:30:00", "2026-11-23 17:01:54.789124", "", "é😀\n\"", 1764498600, 1764498600.25, -1, HUGE, None,
    True, [1, {"a": 2.5}], {"b": [None, "x"], "a": {}},
]


def inputs(count, seed):
    """Yields `count` lines of JSON."""
    machine = Machine(random.Random(seed))
    for _ in range(count):
        yield machine.next_input()


class Machine:
    """What goes on from one input to the next: which CPUs and network interfaces there are."""

    def __init__(self, rng):
        self.rng = rng
        self.cpus = [str(n) for n in range(4)]
        self.interfaces = ["lo", "eth0"]

    def next_input(self):
        rng = self.rng
        if rng.random() < 0.15:
            self.change()
        pairs = [("timestamp", json.dumps(rng.choice(TIMESTAMPS)))]
        pairs += self.cpu_pairs() + self.memory_pairs() + self.counter_pairs() + self.extra_pairs()
        if rng.random() < 0.3:
            rng.shuffle(pairs)
        if rng.random() < 0.15:
            self.repeat_some(pairs)
        comma, colon = rng.choice([(", ", ": "), (",", ":"), (" ,\t", " : ")])
        return "{" + comma.join(self.key(key) + colon + value for key, value in pairs) + "}"

    def change(self):
        """CPUs and network interfaces come and go."""
        rng = self.rng
        count = 256 if rng.random() < 0.02 else rng.choice([0, 1, 2, 3, 4, 8, 16, 40])
        self.cpus = [str(n) for n in range(count)]
        if rng.random() < 0.3:
            self.cpus = [name for name in self.cpus if rng.random() < 0.7]
        if rng.random() < 0.2:
            self.cpus += rng.sample(["00", "01", "007", "18446744073709551616", "9" * 30], 2)
        if rng.random() < 0.2:
            rng.shuffle(self.cpus)
        self.interfaces = rng.choice([[], ["lo"], ["eth0"], ["lo", "eth0"], ["lo", "eth0"], ["lo"]])
        self.interfaces = self.interfaces + rng.sample(INTERFACES, rng.choice([0, 0, 1, 2, 5]))
        if rng.random() < 0.03:
            self.interfaces += [f"veth{n}" for n in range(50)]
        rng.shuffle(self.interfaces)

    def cpu_pairs(self):
        return [(f"cpu_percent-{name}", self.utilization()) for name in self.cpus]

    def utilization(self):
        """A CPU's figure: mostly with one decimal, as psutil rounds it."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.55:
            return json.dumps(round(rng.uniform(0, 100), 1))
        if kind < 0.75:
            return json.dumps(rng.randrange(0, 801) / 8)  # with few values, means that lie between two decimals
        if kind < 0.85:
            return json.dumps(rng.randrange(0, 101))
        return rng.choice([
            json.dumps(rng.uniform(0, 100)), "0", "0.0", "-0.0", "100.0", "1e2", "1E-3", "4.5e+1", "-12.345",
            "1e-300", "123456789012.345", "70368744177664.25", "1e18", str(HUGE), str(-2**63),
        ])

    def memory_pairs(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            total = rng.randrange(1, 2**40)
            values = [total, rng.randrange(total), rng.randrange(total)]
        elif kind < 0.7:  # exact in binary: with an odd part, a tie between two decimals
            total = 2**rng.randrange(3, 50)
            values = [total, rng.randrange(total), 0]
        elif kind < 0.8:
            values = [rng.choice([0, 0.0, -0.0]), rng.choice([0, 5, 2.5]), rng.choice([0, 7])]
        elif kind < 0.9:
            values = [rng.randrange(2**63, 2**64) for _ in range(3)]
        else:
            values = [rng.choice([rng.uniform(1, 1e12), rng.randrange(1, 2**60), -rng.randrange(1, 2**60)])
                      for _ in range(3)]
        names = ["virtual_memory-total", "virtual_memory-cached", "virtual_memory-buffers"]
        return [(name, json.dumps(value)) for name, value in zip(names, values)]

    def counter_pairs(self):
        rng = self.rng
        pairs = []
        tie = 2**rng.randrange(3, 50) if rng.random() < 0.2 else None
        nothing_moves = rng.random() < 0.05
        for interface in self.interfaces:
            counters = {"sent": self.counter(), "recv": self.counter()}
            if tie:
                sent = rng.randrange(tie)
                counters = {"sent": sent, "recv": tie - sent}
            if nothing_moves:
                counters = {"sent": 0, "recv": rng.choice([0, 0.0])}
            if interface == "lo" and rng.random() < 0.1:
                counters = {"sent": None, "recv": "many"}  # nobody needs them
            spellings = rng.choice([[""], [""], ["1"], ["", "1"], ["1", ""]])
            for direction, value in counters.items():
                if rng.random() < 0.03:
                    continue
                for spelling in spellings:
                    pairs.append((f"net_io_counters_{interface}-bytes_{direction}{spelling}", json.dumps(value)))
                    if rng.random() < 0.1:
                        value = self.counter()
                pairs.append((f"net_io_counters_{interface}-packets_{direction}", json.dumps(rng.randrange(2**32))))
        return pairs

    def counter(self):
        """Bytes. Floats are quarters, which add up exactly: Python adds others differently from version to version."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.7:
            return rng.randrange(2**rng.randrange(1, 45))
        if kind < 0.85:
            return rng.randrange(2**53, HUGE + 1)
        if kind < 0.95:
            return rng.randrange(2**42) / 4
        return rng.choice([0, 0.0, HUGE, 2**53, 2**53 + 1, -rng.randrange(2**40), -2**63])

    def extra_pairs(self):
        rng = self.rng
        values = ["null", "true", "1e999", "12345678901234567890123", '"\\ud83d\\ude00"', '{"cpu_percent-0": [1, {}]}',
                  "[[], [1.5], \"]\"]", "-0", "3"]
        return [(key, rng.choice(values)) for key in rng.sample(NEAR_MISSES, rng.choice([0, 0, 1, 3]))]

    def repeat_some(self, pairs):
        """Keys that come once more, before or after: the last value counts, in the first place."""
        rng = self.rng
        for key, value in rng.choices(list(pairs), k=rng.randrange(1, 4)):
            at = rng.randrange(len(pairs) + 1)
            is_first = all(other != key for other, _ in pairs[:at])
            pairs.insert(at, (key, '"replaced later"' if is_first else value))

    def key(self, key):
        """A key's JSON text: plain, as ASCII, or with letters escaped that need not be."""
        rng = self.rng
        if rng.random() < 0.97:
            return json.dumps(key, ensure_ascii=rng.random() < 0.5)
        return '"' + "".join(
            f"\\u{ord(char):04x}" if char < "\uffff" and rng.random() < 0.3 else json.dumps(char)[1:-1] for char in key
        ) + '"'
