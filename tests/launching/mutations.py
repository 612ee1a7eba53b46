"""Commands that somebody mistyped: seeded, so that each has a number."""

import random

import configs
from configs import cluttered_digits
from tests.training import tiny

CONFIG = "configs/cluttered_digits.py"
METHODS, MODELS, BUDGETS = map(sorted, configs.TABLES.values())
SHORT = {"train.num_steps": 2, "train.eval_every": 2, "optimizer.warmup_steps": 1}
SMALL = {
    "mixer": {"model.width": 8, "model.depth": 1, "model.token_width": 8},
    "resnet": {"model.width": 4, "model.depth": 8},
    "vit": {"model.width": 12, "model.depth": 1, "model.patch": 7},
}
NUMBERS = ["0", "-1", "1", "2", "0.5", "1.0", "1.5", "-0.0", "1e-30", "1e-8", "1e30"]
NUMBERS += ["nan", "inf", "-inf", "1e400", "True", "1_000", "0x10", "1e3", "007"]
NUMBERS += [str(n) for n in (10**6, 10**12, 2**31, 2**32, 2**63, 2**64, 10**400)]
LONG = ("train.num_steps", "evaluation.latency_repeats", "data.num_train")
LONG += ("data.num_validation", "data.num_test", "model.mlp_width")
WORDS = ["", " ", "None", "null", "abc", "()", "[]", "{}", "(1,)", "[0.5]", "('a',)"]
WORDS += ["(None,)", "(nan,)", "(1e400,)", "{'a': 1}", "{1: 2}", "{'name': 'x'}"]
WORDS += ["(", "'", "é", "../..", "lambda: 0", "[[1], [2]]", "x" * 5000]
WORDS += ["1j", "b'x'", "{1, 2}", "...", "{'name': b'x'}", "{'name': 1j}"]
NAMES = ["os:system", "subprocess:Popen", ":", "a:", ":b", "a:b:c", "base", "Dense"]
NAMES += ["dynsparse.gates:Gate", "builtins:dict", "math:pi"]


def mutation(number: int) -> tuple[str, list[str]]:
    """The config and the other flags of a tiny run, one or two of them mistaken.

    Args:
        number: Which.
    """
    draw = random.Random(number)
    method = draw.choice(METHODS)
    model = draw.choice(["conv_vit"] * 5 + MODELS)
    budget = draw.choice([""] * 5 + BUDGETS)
    argument = ",".join((method, model, budget))
    config = cluttered_digits.get_config(argument)
    flags = tiny_flags(config)
    if draw.random() < 0.1:
        return f"{CONFIG}:{_typo(draw, argument)}", flags
    for _ in range(draw.choice([1, 1, 1, 2])):
        flags.append(f"--config.{draw.choice(KINDS)(draw, config)}")
    return f"{CONFIG}:{argument}", flags


def tiny_flags(config) -> list[str]:
    """Flags that make the run of a config as small as tests have it."""
    small = dict(tiny.SMALL) | SHORT
    if config.model.name != "conv_vit":
        kept = {key: small[key] for key in small if not key.startswith("model.")}
        small = kept | SMALL.get(config.model.name, {})  # those of tokens are refused
    if not config.evaluation.densities:  # of a gate that has none
        small = {key: v for key, v in small.items() if key not in tiny.POINTS}
    if config.scorer.name != "mlp":
        del small["scorer.hidden"]
    return [f"--config.{key}={value}" for key, value in small.items()]


def _keys(section, front=""):
    for key, value in section.items():
        if hasattr(value, "items"):
            yield from _keys(value, f"{front}{key}.")
        else:
            yield front + key


def _key(draw, config):
    """A key, each section as likely as the next."""
    keys = list(_keys(config))
    section = draw.choice(sorted({key.partition(".")[0] for key in keys}))
    return draw.choice([key for key in keys if key.partition(".")[0] == section])


def _number(draw, config):
    key, number = _key(draw, config), draw.choice(NUMBERS)
    if key in LONG and number in ("1_000", str(10**6)):  # right, and takes long
        number = str(10**12)
    return f"{key}={number}"


def _word(draw, config):
    return f"{_key(draw, config)}={draw.choice(WORDS)}"


def _misspelt(draw, config):
    return f"{_typo(draw, _key(draw, config))}={draw.choice(NUMBERS)}"


def _section(draw, config):
    whole = draw.choice(list(config))
    return f"{whole}={draw.choice(['None', '{}', '{...}', '5', *WORDS])}"


def _inside(draw, config):
    """A key below a section that has none such, or below a value."""
    key = draw.choice([*config, _key(draw, config)])
    return f"{key}.{draw.choice(['name', 'start', 'a.b', '', '0'])}=1"


def _index(draw, config):
    key = draw.choice(
        ["evaluation.densities", "evaluation.budgets", _key(draw, config)]
    )
    at = draw.choice(["0", "1", "2", "9", "-1", "x", "", "999999999999"])
    return f"{key}[{at}]={draw.choice(NUMBERS + WORDS)}"


def _name(draw, config):
    section = draw.choice(["data", "model", "gate", "scorer", "budget"])
    other = [*METHODS, *MODELS, *NAMES, "npz_images", "mlp", "linear", "decoder"]
    return f"{section}.name={draw.choice(other)}"


def _unfitting(draw, config):
    """An optional section that this method may not have."""
    return draw.choice(
        [
            "budget.sampling={'name': 'uniform', 'low': 0.5, 'high': 0.1, 'full': 0}",
            "budget.sampling={'name': 'sandwich', 'low': 0.1, 'high': 1, 'draws': 1}",
            "budget={'name': 'fixed', 'density': 0.5}",
            "temperature_schedule={'final': 0.1, 'until': 0.5}",
            "temperature_schedule={'final': 0, 'until': 0}",
            "budget.distillation={'weight': 0.5, 'temperature': 0, 'features': 0}",
            "budget={'name': 'shared', 'temperature': 0}",
            "budget.ramp={'form': 'cubic', 'start': 0.5, 'until': 2}",
            "budget.penalties={'target_rate': {'target': 0.5, 'weight': -1}}",
            "budget.penalties={'target_rate': None}",
            "budget.penalties={'mac_target': {}}",
            "model.granularity=" + draw.choice(["width", "heads", "blocks", "toknes"]),
        ]
    )


def _typo(draw, word):
    """The word with a letter that is doubled, lost or changed with the next one."""
    at = draw.randrange(len(word))
    if draw.random() < 0.3:
        return word[:at] + word[at:][:1] + word[at:]
    if draw.random() < 0.5:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


KINDS = [*[_number] * 5, *[_word] * 3, _misspelt, _section, _inside, _index, _name]
KINDS += [_unfitting]
