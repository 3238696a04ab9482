import pytest

from search_spaces.errors import CampaignError, UserError
from search_spaces.reading import read_campaign
from search_spaces.space import Categorical, Float, Int
from trainers.strategies import catalogue

HEAD = "campaign: c\ndata: {train: train.jsonl, dev: dev.jsonl}\n"
MODEL = "language_model: {text: text.txt}\n"
STUDIES = "studies:\n  base: {strategy: baseline}\n"
TRAIN_KEYS = "valid: epochs, lr, warmup, weight_decay"


@pytest.fixture
def folder(tmp_path):
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl", "text.txt"):
        (tmp_path / name).write_text("one\n")
    return tmp_path


@pytest.fixture
def read(folder):
    def reader(text, name="c.yaml", strategies=True):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return read_campaign(path, catalogue() if strategies else None)

    return reader


@pytest.fixture
def mistakes(read):
    """What is wrong with a campaign file, as the user reads it."""

    def reader(text, **options):
        with pytest.raises(CampaignError) as caught:
            read(text, **options)
        lines = str(caught.value).split("\n")
        assert lines[0].endswith(f"c.yaml: {len(lines) - 1} mistake{'s' * (len(lines) > 2)}")
        return [line.strip() for line in lines[1:]]

    return reader


# every case: what stands under the first two lines, the line and key of its one mistake, and parts of the message
ONE_MISTAKE = {
    "an unknown key at the top": (
        "featurs: {bands: 40}\n" + STUDIES,
        "line 3: featurs: ",
        [
            "unknown key 'featurs'; did you mean 'features'?",
            "valid: campaign, data, scorer, baseline, promotion, keep,",
        ],
    ),
    "an unknown key in a section": (
        "train:\n  epochs: 3\n  leraning_rate: 1\n" + STUDIES,
        "line 5: train.leraning_rate: ",
        ["unknown key 'leraning_rate'", TRAIN_KEYS],
    ),
    "an unknown key in a strategy's own section": (
        "distillation: {temprature: 2}\n" + STUDIES,
        "line 3: distillation.temprature: ",
        ["did you mean 'temperature'?", "valid: level, alpha, beta, temperature, frames"],
    ),
    "an unknown key in the language model": (
        "language_model: {text: text.txt, ordre: 3}\n" + STUDIES,
        "line 3: language_model.ordre: ",
        ["did you mean 'order'?", "valid: text, order"],
    ),
    "an unknown key in a study": (
        "studies:\n  base:\n    strategy: baseline\n    trails: 3\n",
        "line 6: studies.base.trails: ",
        ["did you mean 'trials'?", "valid: strategy, needs, trials, space, fixed"],
    ),
    "an epoch to keep beyond the budget": (
        "train:\n  epochs: 12\n  keep_epochs: [10, 75]\n" + STUDIES,
        "line 5: train.keep_epochs: ",
        ["there are only 12 epochs, and no epoch 75 to keep"],
    ),
    "an epoch to keep beyond the budget of a study": (
        "train: {epochs: 80}\nstudies:\n  base:\n    strategy: baseline\n    fixed: {train.keep_epochs: [70, 81]}\n",
        "line 7: studies.base.fixed.train.keep_epochs: ",
        ["there are only 80 epochs, and no epoch 81 to keep"],
    ),
    "a budget that a study searches and that ends before an epoch to keep": (
        "train: {epochs: 80, keep_epochs: [75]}\nstudies:\n  base:\n    strategy: baseline\n    trials: 2\n"
        "    space: {train.epochs: {int: [60, 80]}}\n",
        "line 5: studies.base: ",
        ["train.keep_epochs: there are only 60 epochs, and no epoch 75 to keep"],
    ),
    "a number of trials to keep that keeps none": (
        "keep: {best: 0}\n" + STUDIES,
        "line 3: keep.best: ",
        ["greater than or equal to 1; got 0"],
    ),
    "an unknown key in what a study keeps": (
        "keep: {best: 2}\nstudies:\n  base: {strategy: baseline, keep: {bst: 3}}\n",
        "line 5: studies.base.keep.bst: ",
        ["unknown key 'bst'; did you mean 'best'?"],
    ),
    "an unknown key in a sampler": (
        "studies:\n  base: {strategy: baseline, sampler: {kind: tpe, start: 3}}\n",
        "line 4: studies.base.sampler.start: ",
        ["did you mean 'startup'?", "valid: kind, startup"],
    ),
    "an unknown key in a pruner": (
        "studies:\n  base: {strategy: baseline, pruner: {kind: median, warmpu: 3}}\n",
        "line 4: studies.base.pruner.warmpu: ",
        ["did you mean 'warmup'?", "valid: kind, startup, warmup, reduction"],
    ),
    "a pruner of epochs for a strategy that trains nothing": (
        "language_model: {order: 3}\nstudies:\n  base: {strategy: baseline}\n"
        "  dec:\n    strategy: decoding\n    needs: {posteriors: base}\n    pruner: median\n",
        "line 9: studies.dec.pruner: ",
        ["'median' cannot stop trials of strategy 'decoding', which trains nothing", "valid: race, none"],
    ),
    "a race for a strategy that trains": (
        "studies:\n  base: {strategy: baseline, pruner: {kind: race, seconds: 2}}\n",
        "line 4: studies.base.pruner: ",
        ["'race' cannot stop trials of strategy 'baseline', which trains", "valid: median, hyperband, none"],
    ),
    "a setting that a pruner does not listen to": (
        "studies:\n  base: {strategy: baseline, pruner: {kind: hyperband, warmup: 3}}\n",
        "line 4: studies.base.pruner.warmup: ",
        ["has no effect on pruner 'hyperband'; it listens to: reduction"],
    ),
    "an unknown strategy": (
        "studies:\n  base: {strategy: base_line}\n",
        "line 4: studies.base.strategy: ",
        ["unknown strategy 'base_line'; did you mean 'baseline'?", "baseline, cr_ctc, decoding, distillation"],
    ),
    "an unknown sampler": (
        "studies:\n  base: {strategy: baseline, sampler: tpee}\n",
        "line 4: studies.base.sampler: ",
        ["'tpe', 'random', 'grid', 'gp' or 'cmaes'; got 'tpee'"],
    ),
    "an unknown pruner": (
        "studies:\n  base: {strategy: baseline, pruner: {kind: mean}}\n",
        "line 4: studies.base.pruner.kind: ",
        ["'median', 'hyperband', 'race' or 'none'; got 'mean'"],
    ),
    "an unknown axis": (
        "studies:\n  base:\n    strategy: baseline\n    trials: 2\n    space:\n      train.lrr: {float: [0.1, 0.2]}\n",
        "line 8: studies.base.space.train.lrr: ",
        ["unknown setting 'train.lrr'; did you mean 'train.lr'?", "valid: train.epochs, train.lr"],
    ),
    "a section where a setting is wanted": (
        "studies:\n  base: {strategy: baseline, fixed: {model: 3}}\n",
        "line 4: studies.base.fixed.model: ",
        ["unknown setting 'model'", "model.encoder, model.layers"],
    ),
    "a range that is upside down": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.01]}}}\n",
        "line 4: studies.base.space.train.lr: ",
        ["upside down", "write [0.01, 0.1]"],
    ),
    "a logarithm from zero": (
        "studies:\n  base: {strategy: baseline, trials: 2, "
        "space: {train.weight_decay: {float: [0, 0.1], log: true}}}\n",
        "line 4: studies.base.space.train.weight_decay: ",
        ["log: true needs a low above 0; got 0"],
    ),
    "a value out of its range": (
        "train: {lr: 2}\n" + STUDIES,
        "line 3: train.lr: ",
        ["less than or equal to 1; got 2"],
    ),
    "a value that is not finite": ("train: {lr: 1e400}\n" + STUDIES, "line 3: train.lr: ", ["finite number; got inf"]),
    "a value that is no choice": (
        "units: chars\n" + STUDIES,
        "line 3: units: ",
        ["'char', 'marked_char', 'word' or 'mixed'; got 'chars'"],
    ),
    "a value of another type": (
        "train: {epochs: twelve}\n" + STUDIES,
        "line 3: train.epochs: ",
        ["valid integer", "got 'twelve'"],
    ),
    "a fixed value out of its range": (
        "studies:\n  base: {strategy: baseline, fixed: {model.dropout: 1}}\n",
        "line 4: studies.base.fixed.model.dropout: ",
        ["less than 1; got 1"],
    ),
    "a fixed value that is a list": (
        "studies:\n  base: {strategy: baseline, fixed: {train.lr: [0.1, 0.2]}}\n",
        "line 4: studies.base.fixed.train.lr: ",
        ["valid string or a valid boolean or a valid integer or a valid number; got [0.1, 0.2]"],
    ),
    "the high end of a range out of the setting's": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 2]}}}\n",
        "line 4: studies.base.space.train.lr: ",
        ["less than or equal to 1; got 2.0"],
    ),
    "the low end of a range out of the setting's": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {model.layers: {int: [0, 3]}}}\n",
        "line 4: studies.base.space.model.layers: ",
        ["greater than or equal to 1; got 0"],
    ),
    "a range of real numbers for a whole number": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.epochs: {float: [1, 4]}}}\n",
        "line 4: studies.base.space.train.epochs: ",
        ["valid integer", "got 1.0"],
    ),
    "a choice that the setting does not have": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {units: {choice: [char, bpe]}}}\n",
        "line 4: studies.base.space.units: ",
        ["'char', 'marked_char', 'word' or 'mixed'; got 'bpe'"],
    ),
    "a setting that the strategy ignores, fixed": (
        "studies:\n  base: {strategy: baseline, fixed: {decoding.alpha: 1}}\n",
        "line 4: studies.base.fixed.decoding.alpha: ",
        ["no effect on strategy 'baseline'; it listens to: units, features.kind"],
    ),
    "a setting that the strategy ignores, searched": (
        STUDIES + "  again:\n    strategy: self_distillation\n    needs: {teacher: base}\n    trials: 2\n"
        "    space: {model.hidden: {int: [8, 16]}}\n",
        "line 9: studies.again.space.model.hidden: ",
        ["no effect on strategy 'self_distillation'", "model.dropout"],
    ),
    "an unknown study to start from": (
        STUDIES + "  again: {strategy: self_distillation, needs: {teacher: bse}}\n",
        "line 5: studies.again.needs.teacher: ",
        ["unknown study 'bse'; did you mean 'base'? valid: base"],
    ),
    "a study that needs itself": (
        STUDIES + "  again: {strategy: self_distillation, needs: {teacher: again}}\n",
        "line 5: studies.again.needs.teacher: ",
        ["needs itself; name another study"],
    ),
    "a study that inherits from itself": (
        "studies:\n  base: {strategy: baseline, inherit: base}\n",
        "line 4: studies.base.inherit: ",
        ["inherits from itself"],
    ),
    "an unknown study to inherit from": (
        STUDIES + "  wide: {strategy: baseline, inherit: bass}\n",
        "line 5: studies.wide.inherit: ",
        ["unknown study 'bass'; did you mean 'base'?"],
    ),
    "a circle": (
        "studies:\n  a: {strategy: self_distillation, needs: {teacher: b}}\n"
        "  b: {strategy: self_distillation, needs: {teacher: c}}\n  c: {strategy: baseline, inherit: a}\n",
        "line 4: studies.a: ",
        ["needs itself: a -> b -> c -> a"],
    ),
    "a need that is missing": (
        "studies:\n  again: {strategy: self_distillation}\n",
        "line 4: studies.again: ",
        ["'self_distillation' needs teacher: the study whose", "write needs: {teacher: STUDY}"],
    ),
    "an unknown need": (
        STUDIES + "  again: {strategy: self_distillation, needs: {teacher: base, theacher: base}}\n",
        "line 5: studies.again.needs.theacher: ",
        ["did you mean 'teacher'? valid: teacher"],
    ),
    "a need that names nothing": (
        STUDIES + "  again: {strategy: self_distillation, needs: {teacher: []}}\n",
        "line 5: studies.again.needs.teacher: ",
        ["names no study"],
    ),
    "two studies where one is needed": (
        STUDIES
        + "  wide: {strategy: baseline}\n  again: {strategy: self_distillation, needs: {teacher: [base, wide]}}\n",
        "line 6: studies.again.needs.teacher: ",
        ["takes one study; got 2"],
    ),
    "a need of another type": (
        STUDIES + "  again: {strategy: self_distillation, needs: {teacher: {study: base}}}\n",
        "line 5: studies.again.needs.teacher: ",
        ["valid string or a valid list; got {'study': 'base'}"],
    ),
    "an enqueued value outside its axis": (
        "studies:\n  base:\n    strategy: baseline\n    trials: 2\n    space: {train.lr: {float: [0.1, 0.2]}}\n"
        "    enqueue:\n      - {train.lr: 0.15}\n      - {train.lr: 0.3}\n",
        "line 10: studies.base.enqueue.1.train.lr: ",
        ["0.3 is outside the axis: 0.1 to 0.2"],
    ),
    "an enqueued value without an axis": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2]}}, "
        "enqueue: [{train.lrr: 0.1}]}\n",
        "line 4: studies.base.enqueue.0.train.lrr: ",
        ["unknown axis of this study 'train.lrr'; did you mean 'train.lr'? valid: train.lr"],
    ),
    "a grid over real numbers without a step": (
        "studies:\n  base: {strategy: baseline, sampler: grid, space: {train.lr: {float: [0.1, 0.2]}}}\n",
        "line 4: studies.base.space.train.lr: ",
        ["needs a step", "{float: [low, high], step: S}"],
    ),
    "a grid with a condition": (
        "studies:\n  base: {strategy: baseline, sampler: grid, space: {units: {choice: [char, word]}, "
        "train.epochs: {int: [1, 2], when: {units: char}}}}\n",
        "line 4: studies.base.space.train.epochs: ",
        ["cannot have conditional axes; use sampler: tpe"],
    ),
    "cmaes without a real number": (
        "studies:\n  base: {strategy: baseline, trials: 3, sampler: cmaes, space: {train.epochs: {int: [1, 2]}}}\n",
        "line 4: studies.base.sampler: ",
        ["needs at least one axis of real numbers"],
    ),
    "a search without a budget": (
        "studies:\n  base: {strategy: baseline, space: {train.lr: {float: [0.1, 0.2]}}}\n",
        "line 4: studies.base: ",
        ["trials is missing"],
    ),
    "no trials": (
        "studies:\n  base: {strategy: baseline, trials: 0}\n",
        "line 4: studies.base.trials: ",
        ["greater than or equal to 1; got 0"],
    ),
    "a setting both fixed and searched": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2]}}, "
        "fixed: {train.lr: 0.1}}\n",
        "line 4: studies.base.fixed.train.lr: ",
        ["also searched under 'space:'"],
    ),
    "a condition on an axis that is not there": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2], when: {unit: char}}, "
        "units: {choice: [char]}}}\n",
        "line 4: studies.base.space.train.lr.when.unit: ",
        ["unknown axis 'unit'; did you mean 'units'? valid: units"],
    ),
    "a condition on a range": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2], "
        "when: {train.epochs: 1}}, train.epochs: {int: [1, 2]}}}\n",
        "line 4: studies.base.space.train.lr.when.train.epochs: ",
        ["a condition stands on an axis with choices"],
    ),
    "a condition that never holds": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2], "
        "when: {units: mixed}}, units: {choice: [char, word]}}}\n",
        "line 4: studies.base.space.train.lr.when.units: ",
        ["'mixed' is not one of char, word"],
    ),
    "a condition upon a condition": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {units: {choice: [char, word]}, "
        "model.encoder: {choice: [conv, bilstm], when: {units: char}}, "
        "train.lr: {float: [0.1, 0.2], when: {model.encoder: conv}}}}\n",
        "line 4: studies.base.space.train.lr.when.model.encoder: ",
        ["itself conditional is not supported"],
    ),
    "a condition that is no mapping": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [0.1, 0.2], when: char}}}\n",
        "line 4: studies.base.space.train.lr.when: ",
        ["needs {SETTING: VALUE}; got 'char'"],
    ),
    "a study that is no mapping": (
        "studies:\n  base: baseline\n",
        "line 4: studies.base: ",
        ["needs at least {strategy: NAME}"],
    ),
    "a study without a strategy": (
        "studies:\n  base: {trials: 1}\n",
        "line 4: studies.base.strategy: ",
        ["is missing"],
    ),
    "a study with a name that no folder should have": (
        "studies:\n  Base/2: {strategy: baseline}\n",
        "line 4: studies.Base/2: ",
        ["small letters, digits and _"],
    ),
    "an encoder's setting beside a class": (
        "model:\n  class: nets:Net\n  hidden: 8\n" + STUDIES,
        "line 5: model.hidden: ",
        ["does not go with model.class; drop one"],
    ),
    "arguments without a class": (
        "model:\n  layers: 2\n  args: {hidden: 8}\n" + STUDIES,
        "line 5: model.args.hidden: ",
        ["name it with class: package.module:Name"],
    ),
    "a class that is no path": (
        "model: {class: nets.Net}\n" + STUDIES,
        "line 3: model.class: ",
        ["should be package.module:Name", "got 'nets.Net'"],
    ),
    "an encoder's setting searched beside a class": (
        "model: {class: nets:Net}\nstudies:\n  base: {strategy: baseline, trials: 2, "
        "space: {model.hidden: {int: [8, 16]}}}\n",
        "line 5: studies.base.space.model.hidden: ",
        ["does not go with model.class"],
    ),
    "an argument searched without a class": (
        "studies:\n  base: {strategy: baseline, trials: 2, space: {model.args.hidden: {int: [8, 16]}}}\n",
        "line 4: studies.base.space.model.args.hidden: ",
        ["name it with class"],
    ),
    "a misspelt argument's place": (
        "model: {class: nets:Net}\nstudies:\n  base: {strategy: baseline, fixed: {model.arg.hidden: 3}}\n",
        "line 5: studies.base.fixed.model.arg.hidden: ",
        ["unknown setting 'model.arg.hidden'", "model.class, model.args"],
    ),
    "a class under a strategy that reads inside the encoder": (
        "model: {class: nets:Net}\nstudies:\n  base: {strategy: inter_ctc}\n",
        "line 5: studies.base.strategy: ",
        ["cannot train a module of your own"],
    ),
    "a class under attention": (
        "model: {class: nets:Net}\nstudies:\n  base: {strategy: attention}\n",
        "line 5: studies.base: ",
        ["model.attention: belongs to the encoders", "does not go with model.class"],
    ),
    "mixup behind the encoder of a class": (
        "model: {class: nets:Net}\nstudies:\n"
        "  base: {strategy: augmentation, fixed: {augmentation.mixup_at: hidden}}\n",
        "line 5: studies.base.fixed.augmentation.mixup_at: ",
        ["mixes behind the encoder", "write input; got 'hidden'"],
    ),
    "no study": ("units: char\n", "line 1: studies: ", ["needs at least one study: {NAME: {strategy: baseline}}"]),
    "a hypothesis that is upside down": (
        "studies:\n  base: {strategy: baseline, hypothesis: [47, 46]}\n",
        "line 4: studies.base.hypothesis: ",
        ["needs [low, high] in percent; got [47.0, 46.0]"],
    ),
    "a hypothesis of one number": (
        "studies:\n  base: {strategy: baseline, hypothesis: [47]}\n",
        "line 4: studies.base.hypothesis.1: ",
        ["is missing"],
    ),
    "an unknown study as the baseline": (
        "baseline: bse\n" + STUDIES,
        "line 3: baseline: ",
        ["unknown study 'bse'; did you mean 'base'? valid: base"],
    ),
    "decoding without a language model": (
        STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}}\n",
        "line 5: studies.words.strategy: ",
        ["'decoding' needs the section 'language_model:' at the top of the file"],
    ),
    "decoding with an empty language model": (
        "language_model:\n" + STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}}\n",
        "line 6: studies.words.strategy: ",
        ["'decoding' needs the section 'language_model:'"],
    ),
    "an order of a language model that is none": (
        "language_model: {order: 1}\n" + STUDIES,
        "line 3: language_model.order: ",
        ["should be 2 to 6: KenLM loads language models of these orders; got 1"],
    ),
    "an order to search that KenLM does not load": (
        MODEL + STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}, trials: 2, "
        "space: {language_model.order: {choice: [2, 1]}}}\n",
        "line 6: studies.words.space.language_model.order: ",
        ["should be 2 to 6", "got 1"],
    ),
    "a list of texts of which one is not there": (
        "language_model: {text: [text.txt, other.txt]}\n" + STUDIES,
        "line 3: language_model.text.1: ",
        ["no such file: other.txt"],
    ),
    "an empty list of texts": (
        "language_model: {text: []}\n" + STUDIES,
        "line 3: language_model.text: ",
        ["needs the path of a file; got []"],
    ),
    "thresholds of pruning that fall": (
        "language_model: {text: text.txt, prune: [1, 0]}\n" + STUDIES,
        "line 3: language_model.prune: ",
        ["never decrease from one order to the next"],
    ),
    "more thresholds than orders": (
        "language_model: {text: text.txt, order: 2, prune: [0, 0, 1]}\n" + STUDIES,
        "line 3: language_model.prune: ",
        ["a threshold for each of 2 orders"],
    ),
    "a binary language model without its words": (
        "language_model: {binary: text.txt}\n" + STUDIES,
        "line 3: language_model.binary: ",
        ["keeps no list of words", "add words: FILE"],
    ),
    "two language models": (
        "language_model: {arpa: text.txt, binary: text.txt, words: text.txt}\n" + STUDIES,
        "line 3: language_model.binary: ",
        ["is beside arpa"],
    ),
    "the words of no language model": (
        "language_model: {text: text.txt, words: text.txt}\n" + STUDIES,
        "line 3: language_model.words: ",
        ["belongs to a model of your own; name it with arpa or binary"],
    ),
    "the order of a language model that is there already": (
        "language_model: {arpa: text.txt, order: 3}\n" + STUDIES,
        "line 3: language_model.order: ",
        ["does not go with language_model.arpa"],
    ),
    "the order of a language model that is there already, searched": (
        "language_model: {arpa: text.txt}\n" + STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}, "
        "trials: 2, space: {language_model.order: {choice: [2, 3]}}}\n",
        "line 6: studies.words.space.language_model.order: ",
        ["does not go with language_model.arpa"],
    ),
    "a language model's file that one study has for itself": (
        MODEL + STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}, "
        "fixed: {language_model.text: text.txt}}\n",
        "line 6: studies.words.fixed.language_model.text: ",
        ["listens to", "language_model.order"],
    ),
    "a language model whose text is not there": (
        "language_model: {text: txt.txt}\n" + STUDIES,
        "line 3: language_model.text: ",
        ["no such file: txt.txt; looked in "],
    ),
    "an axis that follows from the needs, searched": (
        MODEL + STUDIES + "  wide: {strategy: baseline}\n  words: {strategy: decoding, trials: 2, "
        "needs: {posteriors: [base, wide]}, space: {decoding.posteriors: {choice: [base]}}}\n",
        "line 7: studies.words.space.decoding.posteriors: ",
        ["follows from the studies under 'needs: posteriors:'"],
    ),
    "an axis that follows from the needs, fixed": (
        MODEL + STUDIES + "  words: {strategy: decoding, needs: {posteriors: base}, "
        "fixed: {decoding.posteriors: base}}\n",
        "line 6: studies.words.fixed.decoding.posteriors: ",
        ["follows from the studies under 'needs: posteriors:'"],
    ),
}


@pytest.mark.parametrize("case", ONE_MISTAKE)
def test_a_mistake_is_named_once_with_its_line_its_key_and_what_is_valid(mistakes, case):
    text, place, words = ONE_MISTAKE[case]
    (found,) = mistakes(HEAD + text)
    assert found.startswith(place)
    for part in words:
        assert part in found


@pytest.mark.parametrize(
    ("head", "place", "words"),
    [
        ("campaign: c\ndata: {train: trn.jsonl, dev: dev.jsonl}\n", "line 2: data.train: ", "no such file: trn.jsonl"),
        ("campaign: c\ndata: {train: train.jsonl}\n", "line 2: data: ", "dev is missing"),
        ("campaign: c\ndata: {dev: dev.jsonl}\n", "line 2: data: ", "train is missing"),
        ("campaign: c\ndata: {train: train.jsonl, dev: 3}\n", "line 2: data.dev: ", "needs the path of a file; got 3"),
        ("campaign: c\ndata: {train: train.jsonl, dev: ''}\n", "line 2: data.dev: ", "needs the path of a file"),
        (
            "campaign: c\ndata: {train: train.jsonl, dev: dev.jsonl, test: tst.jsonl}\n",
            "line 2: data.test: ",
            "no such file: tst.jsonl",
        ),
        (
            "campaign: c\ndata:\n  train: train.jsonl\n  dev: dev.jsonl\n  tests: test.jsonl\n",
            "line 5: data.tests: ",
            "did you mean 'test'? valid: train, dev, test",
        ),
        ("campaign: c\ndata: {train: dev.jsonl, dev: dev.jsonl}\n", "line 2: data: ", "must be different files"),
        (
            "campaign: c\ndata: {train: train.jsonl, dev: dev.jsonl, test: ./dev.jsonl}\n",
            "line 2: data: ",
            "must be different files",
        ),
        ("campaign: c\ndata: dev.jsonl\n", "line 2: data: ", "needs the manifests: {train: FILE, dev: FILE"),
        ("campaign: c\n", "line 1: data: ", "needs the manifests"),
        (
            "campaign: d\ndata: {train: train.jsonl, dev: dev.jsonl}\n",
            "line 1: campaign: ",
            "is 'd' but the file is c.yaml",
        ),
        ("data: {train: train.jsonl, dev: dev.jsonl}\n", "line 1: campaign: ", "needs a name of letters"),
        (
            "campaign: ../c\ndata: {train: train.jsonl, dev: dev.jsonl}\n",
            "line 1: campaign: ",
            "needs a name of letters, digits, _ and -, a letter first; got '../c'",
        ),
    ],
)
def test_a_mistake_in_the_head_is_named_once(mistakes, head, place, words):
    (found,) = mistakes(head + STUDIES)
    assert found.startswith(place)
    assert words in found


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text\n", "3\n"])
def test_a_file_that_is_no_mapping_is_told_its_keys(mistakes, text):
    keys = "campaign, data, scorer, baseline, promotion, keep, confirm, studies"
    assert mistakes(text) == [f"line 1: a campaign is a mapping with the keys {keys}"]


def test_many_mistakes_are_reported_at_once_in_the_order_of_their_lines(mistakes):
    found = mistakes(
        "campaign: other\n"
        "data: {train: trn.jsonl, dev: dev.jsonl}\n"
        "baseline: base\n"
        "train: {lr: 2, epoch: 3}\n"
        "studies:\n"
        "  base: {strategy: baseline, trails: 3}\n"
        "  again:\n"
        "    strategy: self_distillation\n"
        "    needs: {teacher: bass}\n"
        "    trials: 2\n"
        "    space:\n"
        "      train.lr: {float: [0.2, 0.1]}\n"
        "      distillation.alpha: {float: [0, 2]}\n"
        "      decoding.alpha: {float: [0, 2]}\n"
        "  words: {strategy: decodin}\n"
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["line 1", "campaign"],
        ["line 2", "data.train"],
        ["line 4", "train.epoch"],
        ["line 4", "train.lr"],
        ["line 6", "studies.base.trails"],
        ["line 9", "studies.again.needs.teacher"],
        ["line 12", "studies.again.space.train.lr"],
        ["line 13", "studies.again.space.distillation.alpha"],
        ["line 14", "studies.again.space.decoding.alpha"],
        ["line 15", "studies.words.strategy"],
    ]


def test_a_campaign_error_is_one_that_the_user_can_mend(read):
    with pytest.raises(UserError):
        read("x: 1\n")


GOOD = (
    "campaign: c\n"
    "data: {train: train.jsonl, dev: dev.jsonl, test: test.jsonl}\n"
    "baseline: base\n"
    "units: char\n"
    "train: {epochs: 3, lr: 2e-3}\n"
    "language_model: {text: text.txt, order: 3}\n"
    "studies:\n"
    "  words:\n"
    "    strategy: decoding\n"
    "    needs: {posteriors: [base, again]}\n"
    "    trials: 40\n"
    "    space:\n"
    "      decoding.alpha: {float: [0, 2]}\n"
    "      decoding.beam_width: {int: [10, 100], log: true}\n"
    "    enqueue: [{decoding.alpha: 0.5, decoding.posteriors: again}]\n"
    "  again:\n"
    "    strategy: self_distillation\n"
    "    needs: {teacher: base}\n"
    "    inherit: wide\n"
    "    fixed: {train.epochs: 5, distillation.beta: null}\n"
    "    hypothesis: [46.5, 47.5]\n"
    "  alone: {strategy: baseline}\n"
    "  wide: {strategy: baseline, fixed: {model.hidden: 8}, seed: 3, sampler: random, pruner: none}\n"
    "  base: {strategy: baseline, trials: 2, space: {train.lr: {float: [1e-3, 1e-2], log: true}}}\n"
)


def test_a_good_campaign_has_every_value_that_was_written(read, folder):
    campaign = read(GOOD)
    assert campaign.name == "c"
    assert campaign.baseline == "base"
    assert (campaign.data.train, campaign.data.dev, campaign.data.test.sealed_place) == tuple(
        (folder / name).resolve() for name in ("train.jsonl", "dev.jsonl", "test.jsonl")
    )
    assert campaign.settings == {
        "units": "char",
        "train": {"epochs": 3, "lr": 2e-3},
        "language_model": {"text": str((folder / "text.txt").resolve()), "order": 3},
    }
    again, wide = campaign.studies["again"], campaign.studies["wide"]
    assert again.needs == {"teacher": ("base",)}
    assert again.fixed == {"train.epochs": 5, "distillation.beta": None}
    assert (again.inherit, again.hypothesis, again.trials) == ("wide", (46.5, 47.5), 1)
    assert (wide.seed, wide.sampler.kind, wide.pruner.kind) == (3, "random", "none")
    assert campaign.studies["base"].space.axes[0].range == Float(1e-3, 1e-2, log=True)
    assert (campaign.studies["base"].sampler.kind, campaign.studies["base"].pruner.kind) == ("tpe", "median")


def test_studies_stand_after_those_they_need_and_otherwise_in_the_order_of_the_file(read):
    assert list(read(GOOD).studies) == ["base", "wide", "again", "words", "alone"]


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("words", ("base", "wide", "again", "words")),
        ("again", ("base", "wide", "again")),
        ("wide", ("wide",)),
        ("alone", ("alone",)),
    ],
)
def test_a_study_comes_with_all_that_it_needs(read, study, expected):
    assert read(GOOD).with_needs(study) == expected


def test_several_studies_to_start_from_become_an_axis_of_their_own(read):
    study = read(GOOD).studies["words"]
    assert study.space.names == ("decoding.posteriors", "decoding.alpha", "decoding.beam_width")
    assert study.space.axes[0].range == Categorical(("base", "again"))
    assert study.space.axes[2].range == Int(10, 100, log=True)
    assert study.enqueue == ({"decoding.alpha": 0.5, "decoding.posteriors": "again"},)
    one = read(GOOD.replace("[base, again]", "base").replace(", decoding.posteriors: again", ""))
    assert one.studies["words"].space.names == ("decoding.alpha", "decoding.beam_width")


@pytest.mark.parametrize(
    ("study", "trials"),
    [
        ("{strategy: baseline}", 1),
        ("{strategy: baseline, trials: 7}", 7),
        ("{strategy: baseline, sampler: grid, space: {units: {choice: [char, word]}, train.epochs: {int: [1, 3]}}}", 6),
        ("{strategy: baseline, sampler: grid, space: {train.lr: {float: [0.1, 0.3], step: 0.1}}}", 3),
        ("{strategy: baseline, sampler: grid, trials: 2, space: {units: {choice: [char, word]}}}", 2),
        ("{strategy: baseline, sampler: grid, space: {train.lr: {float: [0.1, 0.1]}}}", 1),
    ],
)
def test_the_budget_is_as_written_or_the_size_of_the_grid(read, study, trials):
    assert read(f"{HEAD}studies:\n  base: {study}\n").studies["base"].trials == trials


def test_the_choice_of_a_need_counts_in_the_size_of_the_grid(read):
    text = (
        HEAD
        + MODEL
        + STUDIES
        + (
            "  wide: {strategy: baseline}\n  words: {strategy: decoding, sampler: grid, "
            "needs: {posteriors: [base, wide]}, space: {decoding.alpha: {float: [0, 1], step: 0.5}}}\n"
        )
    )
    assert read(text).studies["words"].trials == 6


def test_a_condition_comes_after_the_axis_it_stands_on(read):
    text = (
        "studies:\n  base: {strategy: baseline, trials: 3, space: {train.lr: {float: [0.1, 0.2], when: {units: char}}, "
        "units: {choice: [char, word]}}}\n"
    )
    space = read(HEAD + text).studies["base"].space
    assert space.names == ("units", "train.lr")
    assert space.axes[1].when == {"units": "char"}


def test_files_may_lie_beside_the_campaign_above_it_or_in_the_working_folder(
    read, folder, tmp_path_factory, monkeypatch
):
    elsewhere = tmp_path_factory.mktemp("working")
    (elsewhere / "dev2.jsonl").write_text("one\n")
    monkeypatch.chdir(elsewhere)
    text = HEAD.replace("dev.jsonl", "dev2.jsonl") + STUDIES
    campaign = read(text, name="campaigns/c.yaml")
    assert campaign.data.train == (folder / "train.jsonl").resolve()
    assert campaign.data.dev == (elsewhere / "dev2.jsonl").resolve()
    (folder / "campaigns/train.jsonl").write_text("nearer\n")
    assert read(text, name="campaigns/c.yaml").data.train == (folder / "campaigns/train.jsonl").resolve()


def test_a_checkpoint_s_folder_may_stand_where_a_study_would(read):
    text = HEAD + "studies:\n  again: {strategy: self_distillation, needs: {teacher: ./old/teacher}}\n"
    campaign = read(text)
    assert campaign.studies["again"].needs == {"teacher": ("./old/teacher",)}
    assert campaign.with_needs("again") == ("again",)


def test_a_class_has_arguments_of_any_name_that_studies_may_fix_and_search(read):
    campaign = read(
        HEAD
        + "model: {class: pack.nets:Net, args: {hidden: 8, widths: [1, 2], deep: {a: null}}, blank: -1}\nstudies:\n"
        "  base: {strategy: baseline, trials: 2, space: {model.args.hidden: {int: [8, 16]}}, "
        "fixed: {model.args.act: relu}}\n  cr: {strategy: cr_ctc, fixed: {model.class: nets:Other}}\n"
        "  both: {strategy: baseline, trials: 2, space: {model.class: {choice: [nets:A, nets:B]}}}\n"
    )
    model = {"class": "pack.nets:Net", "args": {"hidden": 8, "widths": [1, 2], "deep": {"a": None}}, "blank": -1}
    assert campaign.settings["model"] == model
    assert campaign.studies["base"].fixed == {"model.args.act": "relu"}
    assert campaign.studies["base"].space.names == ("model.args.hidden",)


def test_changes_take_the_place_of_what_the_file_says_and_are_checked_like_it(folder):
    path = folder / "c.yaml"
    path.write_text(HEAD + "train: {epochs: 3, lr: 0.1}\n" + STUDIES)
    changes = {"train.epochs": 5, "units": "char", "studies.base.seed": 7}
    campaign = read_campaign(path, catalogue(), changes)
    assert campaign.settings == {"train": {"epochs": 5, "lr": 0.1}, "units": "char"}
    assert campaign.studies["base"].seed == 7
    with pytest.raises(CampaignError) as caught:
        read_campaign(path, catalogue(), {"train.epochs": 0, "studies.base.trials": 0, "train.epoch": 3})
    assert [mistake.key for mistake in caught.value.mistakes] == ["train.epoch", "train.epochs", "studies.base.trials"]


def test_without_a_catalogue_names_of_strategies_and_settings_are_taken_as_written(read):
    text = (
        HEAD
        + "novel: {x: 1}\n"
        + "studies:\n  a: {strategy: dreams, needs: {of: b}, fixed: {novel.x: 2}}\n  b: {strategy: sheep}\n"
    )
    campaign = read(text, strategies=False)
    assert list(campaign.studies) == ["b", "a"]
    with pytest.raises(CampaignError, match="unknown strategy 'sheep'"):
        read(text)


def test_without_a_catalogue_the_shape_is_checked_all_the_same(mistakes):
    found = mistakes(HEAD + "studies:\n  a: {strategy: x, needs: {of: z}}\n  b: {trials: many}\n", strategies=False)
    assert [line.split(": ")[1] for line in found] == ["studies.a.needs.of", "studies.b.strategy", "studies.b.trials"]


@pytest.mark.parametrize("value", ["true", '"12"', "12.0"])
def test_a_value_of_another_type_is_not_bent_into_one_that_fits(tmp_path, value):
    path = tmp_path / "c.yaml"
    for split in ("train", "dev"):
        (tmp_path / f"{split}.jsonl").write_text("{}", encoding="utf-8")
    path.write_text(
        "campaign: c\ndata: {train: train.jsonl, dev: dev.jsonl}\n"
        f"train: {{epochs: {value}}}\nstudies: {{a: {{strategy: baseline}}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(CampaignError, match=r"line 3: train\.epochs: should be a valid integer"):
        read_campaign(path, catalogue())


def test_a_file_of_the_data_that_is_not_there_is_named_and_once_how_to_get_them(mistakes, folder):
    (folder / "dev.jsonl").unlink()
    (folder / "test.jsonl").unlink()
    data = "campaign: c\ndata: {train: train.jsonl, dev: dev.jsonl, test: test.jsonl, obtain: ask Anna}\n"
    first, second = mistakes(data + STUDIES)
    assert first.startswith("line 2: data.dev: no such file: dev.jsonl; looked in ")
    assert first.endswith("; ask Anna")
    assert second.startswith("line 2: data.test: no such file: test.jsonl; looked in ")
    assert "Anna" not in second


def test_how_to_get_the_data_is_said_in_words(mistakes):
    (said,) = mistakes(HEAD.replace("}", ", obtain: [1]}") + STUDIES)
    assert said == "line 2: data.obtain: says in words how the files are come by; got [1]"


def test_without_the_strategies_a_campaign_is_read_though_its_files_are_not_there(read, folder):
    for name in ("train.jsonl", "dev.jsonl", "text.txt"):
        (folder / name).unlink()
    assert list(read(HEAD + MODEL + STUDIES, strategies=False).studies) == ["base"]


def test_without_the_strategies_a_point_may_choose_among_the_studies_that_are_needed(read):
    text = """\
studies:
  one: {strategy: baseline}
  two: {strategy: baseline}
  decoding:
    strategy: decoding
    needs: {posteriors: [one, two]}
    trials: 3
    space: {decoding.alpha: {float: [0, 1]}}
    enqueue: [{decoding.posteriors: two, decoding.alpha: 0.5}]
"""
    assert read(HEAD + MODEL + text, strategies=False).studies["decoding"].enqueue
    assert read(HEAD + MODEL + text).studies["decoding"].enqueue


def test_files_of_a_language_model_are_found_beside_the_campaign(read, folder):
    (folder / "more.txt").write_text("two\n")
    where = {name: str((folder / name).resolve()) for name in ("text.txt", "more.txt")}
    found = read(HEAD + "language_model: {text: [text.txt, more.txt], prune: [0, 1]}\n" + STUDIES)
    assert found.settings["language_model"] == {"text": [where["text.txt"], where["more.txt"]], "prune": [0, 1]}
    found = read(HEAD + "language_model: {binary: text.txt, words: more.txt}\n" + STUDIES)
    assert found.settings["language_model"] == {"binary": where["text.txt"], "words": where["more.txt"]}


def test_a_study_that_names_no_pruner_has_its_strategy_s(read):
    campaign = read(
        HEAD + "language_model: {order: 3}\nstudies:\n  base: {strategy: baseline}\n"
        "  more: {strategy: baseline, pruner: {startup: 2}}\n"
        "  dec: {strategy: decoding, needs: {posteriors: base}}\n"
        "  soon: {strategy: decoding, needs: {posteriors: base}, pruner: {seconds: 0.5, level: 0.05}}\n"
        "  never: {strategy: decoding, needs: {posteriors: base}, pruner: none}\n"
    )
    pruners = {name: study.pruner for name, study in campaign.studies.items()}
    assert {name: pruner.kind for name, pruner in pruners.items()} == {
        "base": "median",
        "more": "median",
        "dec": "race",
        "soon": "race",
        "never": "none",
    }
    assert pruners["more"].startup == 2
    assert (pruners["dec"].seconds, pruners["dec"].level) == (5.0, 0.01)
    assert (pruners["soon"].seconds, pruners["soon"].level) == (0.5, 0.05)
