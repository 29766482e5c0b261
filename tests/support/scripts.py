"""Scripts as users of the `gradiend` package write them, to be run with either package: only the import differs.

Each is a text in which PACKAGE stands for the package's name. It finds `base` (folder of a masked model), `causal` (of
a causal one), `rows` (a frame), `texts` (neutral ones) and `folder` (an empty one), and leaves `told`: plain values
that must come out alike. Knows neither package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Script(NamedTuple):
    """code: its text; alike: whether `told` of both packages is compared. Those with figures need only run: the
    reference draws them with packages that the tests do not ask for."""

    code: str
    alike: bool = True


TRAINED = """
from PACKAGE import TextPredictionTrainer, TrainingArguments
args = TrainingArguments(experiment_dir=folder, train_batch_size=4, max_steps=12, eval_steps=6, learning_rate=1e-3,
                         max_seeds=1, encoder_eval_train_max_size=6)
trainer = TextPredictionTrainer(model=base, data=rows, target_classes=["M", "F"], eval_neutral_data=texts, args=args)
trainer.train()
"""

SCRIPTS: Mapping[str, Script] = {
    "first steps": Script("""
from PACKAGE import TextPredictionTrainer, TrainingArguments
args = TrainingArguments(train_batch_size=4, eval_steps=6, max_steps=12, learning_rate=1e-3, max_seeds=1)
trainer = TextPredictionTrainer(model=base, data=rows, eval_neutral_data=texts, args=args, target_classes=["M", "F"])
trainer.train()
encoder = trainer.evaluate_encoder(max_size=10)
decoder = trainer.evaluate_decoder(lrs=[0.1, 1.0], target_class="F")
changed = trainer.rewrite_base_model(decoder_results=decoder, target_class="F")
told = {"correlation": encoder.get("correlation"), "rate": decoder["F"]["learning_rate"],
        "weights": sum(parameter.numel() for parameter in changed.parameters())}
"""),
    "pruned training": Script("""
from PACKAGE import PostPruneConfig, PrePruneConfig, TextPredictionTrainer, TrainingArguments
args = TrainingArguments(
    experiment_dir=folder, train_batch_size=4, max_steps=12, eval_steps=6, learning_rate=1e-3, max_seeds=1,
    pre_prune_config=PrePruneConfig(n_samples=8, topk=0.1, source="diff"),
    post_prune_config=PostPruneConfig(topk=0.5, part="decoder-weight"), add_identity_for_other_classes=True)
trainer = TextPredictionTrainer(run_id="he_she", model=base, data=rows, target_classes=["M", "F"], args=args,
                                eval_neutral_data=texts)
trainer.train()
stats = trainer.get_training_stats()
told = {"mapped": len(trainer.get_model()), "step": stats["best_score_checkpoint"]["global_step"],
        "losses": stats["losses"], "place": trainer.model_path.endswith("he_she/model")}
"""),
    "encoder": Script(TRAINED + """
whole = trainer.evaluate_encoder(max_size=8, split="test", return_df=True)
table = whole["encoder_df"]
again = trainer.evaluate_encoder(encoder_df=table)
told = {split: trainer.evaluate_encoder(split=split)["sample_counts"]["by_type"] for split in ("train", "all")}
told |= {name: whole[name] for name in ("n_samples", "correlation", "mean_by_class", "neutral_mean_by_type")}
told["again"] = again["correlation"]
told["columns"] = sorted(table.columns)
told["measures"] = trainer.get_encoder_metrics(encoder_df=table)["correlation"]
"""),
    "decoder": Script(TRAINED + """
from PACKAGE import TextPredictionConfig
strengthen = trainer.evaluate_decoder(lrs=[0.1, 1.0, 10.0])
weaken = trainer.evaluate_decoder(lrs=[0.1, 1.0], increase_target_probabilities=False)
told = {name: {key: choice[key] for key in ("value", "feature_factor", "learning_rate", "strengthen")}
        for result in (strengthen, weaken) for name, choice in result.items() if name != "grid"}
told["base"] = strengthen["grid"]["base"]["lms"]["lms"]
both = trainer.evaluate(kwargs_encoder={"max_size": 5}, kwargs_decoder={"lrs": [0.1]})
told["both"] = [sorted(both), both["encoder"]["sample_counts"]["by_type"]["training"]]
"""),
    "own rows": Script(TRAINED + """
held_out = rows[rows["split"] == "test"]
told = {}
for columns in (["masked", "label_class"], ["masked", "label", "label_class"]):
    result = trainer.evaluate_decoder(lrs=[0.5], training_like_df=held_out[columns], use_cache=False)
    told[str(columns)] = [result["grid"]["base"]["probs_by_dataset"], result["F"]["value"]]
"""),
    "targets": Script("""
from PACKAGE import TextPredictionTrainer, TrainingArguments
told = {}
for targets in ({"M": ["he", "He"], "F": ["she", "She"]}, {"M": ["he"], "F": ["she"]}):
    trainer = TextPredictionTrainer(
        model=base, data=rows, target_classes=["M", "F"], decoder_eval_targets=targets, eval_neutral_data=texts,
        args=TrainingArguments(experiment_dir=folder, train_batch_size=4, max_steps=6, eval_steps=6, max_seeds=1))
    trainer.train()
    told[str(targets)] = trainer.evaluate_decoder(lrs=[0.5])["grid"]["base"]["probs"]
"""),
    "rewriting": Script(TRAINED + """
import os
decoder = trainer.evaluate_decoder(lrs=[0.5, 5.0])
changed = trainer.rewrite_base_model(decoder_results=decoder, target_class="M")
saved = trainer.rewrite_base_model(decoder_results=decoder, target_class="M", output_dir=os.path.join(folder, "he"))
several = trainer.rewrite_base_model(decoder_results=decoder, target_class=["M", "F"], output_dir=folder)
weaker = trainer.evaluate_decoder(lrs=[0.5], increase_target_probabilities=False)
less = trainer.rewrite_base_model(decoder_results=weaker, target_class="M", increase_target_probabilities=False)
cell = trainer.get_model().rewrite_base_model(learning_rate=0.5, feature_factor=-1.0)
told = {"sums": [float(sum(p.double().sum() for p in model.parameters())) for model in (changed, less, cell)],
        "files": [sorted(set(os.listdir(place)) & {"config.json", "model.safetensors"}) for place in (saved, *several)]}
"""),
    "saving and loading": Script(TRAINED + """
import os
from PACKAGE import load_training_stats
model = trainer.get_model()
copied = os.path.join(folder, "copied")
model.save_pretrained(copied)
stats = load_training_stats(model_path=trainer.model_path)
other = trainer.load_model(copied)
model.prune_gradiend(topk=0.05, inplace=True)
kept = trainer.get_model(load_directory=copied)
trainer.unload_model()
told = {"lengths": [len(other), len(model), len(kept)], "step": stats["best_score_checkpoint"]["global_step"],
        "keys": sorted(set(stats["training_stats"]) & {"training_rows", "scores", "mean_by_class", "correlation"}),
        "rows": {step: len(rows) for step, rows in stats["training_stats"]["training_rows"].items()},
        "direction": model.feature_class_encoding_direction}
"""),
    "a trainer names the directions": Script(TRAINED + """
model = trainer.get_model()
same = type(model).from_pretrained(trainer.model_path, require_gradiend_model=True, feature_definition=trainer)
told = {"direction": same.feature_class_encoding_direction}
"""),
    "weights": Script(TRAINED + """
import os
model = trainer.get_model()
mask = model.get_enhancer_mask(topk=0.05, part="decoder-weight")
top = model.get_topk_weights(part="decoder-weight", topk=20)
listed = model.export_topk_features(os.path.join(folder, "top.json"), part="decoder-weight", topk=5)
told = {"mask": int(mask.sum()), "top": sorted(top)[:0], "count": len(top), "listed": len(listed),
        "lengths": [model.pruned_length(), model.unpruned_length()]}
"""),
    "a frame per class": Script("""
from PACKAGE import TextPredictionTrainer, TrainingArguments
frames = {name: rows[rows["label_class"] == name].rename(columns={"label": name})[["masked", name, "split"]]
          for name in ("M", "F")}
args = TrainingArguments(experiment_dir=folder, train_batch_size=4, max_steps=6, eval_steps=6, max_seeds=1)
trainer = TextPredictionTrainer(model=base, data=frames, target_classes=["M", "F"], masked_col="masked",
                                split_col="split", args=args)
trainer.train()
told = {"rows": len(trainer.combined_data), "pair": list(trainer.pair), "classes": trainer.all_classes,
        "others": trainer.non_target_classes, "losses": trainer.get_training_stats()["losses"],
        "roles": [trainer.resolve_split_for_role(role) for role in ("train", "eval", "decoder")]}
"""),
    "several seeds": Script("""
from PACKAGE import TextPredictionTrainer, TrainingArguments
args = TrainingArguments(experiment_dir=folder, train_batch_size=4, max_steps=8, eval_steps=4, learning_rate=1e-3,
                         max_seeds=2, min_convergent_seeds=None, saved_seed_runs="all_tried")
trainer = TextPredictionTrainer(model=base, data=rows, target_classes=["M", "F"], args=args)
trainer.train()
report = trainer.get_seed_report()
told = {"seeds": [run["seed"] for run in report["runs"]], "best": report["best_seed"],
        "kept": [len(trainer.get_saved_seed_run_paths(which)) for which in ("best", "all_tried")]}
"""),
    "a causal model": Script("""
from PACKAGE import TextPredictionTrainer, TrainingArguments
args = TrainingArguments(
    experiment_dir=folder, prediction_objective="clm_next_token", train_batch_size=4, eval_steps=6, max_steps=12,
    source="factual", target="diff", learning_rate=1e-3, use_cache=False, max_seeds=1)
trainer = TextPredictionTrainer(model=causal, data=rows, target_classes=["M", "F"], args=args)
trainer.train()
encoder = trainer.evaluate_encoder(max_size=10, use_cache=False, return_df=True)
told = {"count": encoder["n_samples"], "losses": trainer.get_training_stats()["losses"]}
"""),
    "figures": Script(TRAINED + """
import os
trainer.plot_training_convergence(show=False, label_name_mapping={"M": "he", "F": "she"}, class_spread="minmax",
                                  best_step=False, legend_loc="upper right", legend_ncol=2, figsize=(6, 4))
table = trainer.evaluate_encoder(split="all", return_df=True)["encoder_df"]
trainer.plot_encoder_distributions(encoder_df=table, show=False, include_neutral=True, split_plot_mode="facet")
test = table[table["data_split"] == "test"]
trainer.plot_encoder_distributions(
    encoder_df=test, show=False, title="Encoder", class_label_mapping={"M": "he", "F": "she"},
    legend_name_mapping={"he": "masculine"}, title_fontsize=12, label_fontsize=8, axis_label_fontsize=9,
    legend_fontsize=8, colors={"masculine": "#1f77b4"}, legend_loc="upper left", legend_ncol=1, cmap="tab10",
    figsize=(6, 3), dpi=80)
trainer.plot_encoder_distributions(encoder_df=test, show=False, paired_legend_labels=["M", "F"])
trainer.plot_encoder_distributions(encoder_df=test, show=False, legend_group_mapping={"both": ["M", "F"]})
trainer.plot_encoder_scatter(encoder_df=table, show=False, color_by="label", max_points=20, height=300)
trainer.plot_encoder_strip_by_split(encoder_df=table, show=False, include_neutral=True, jitter=0.05, dodge=True)
trainer.plot_encoder_by_target(encoder_df=table, show=False, plot_style="box", figsize=(6, 3), interactive=True,
                               highlight_non_convergence=False)
trainer.evaluate_encoder(split="test", plot=True, plot_kwargs={"show": False, "legend_name_mapping": {"M": "he"}})
decoder = trainer.evaluate_decoder(lrs=[0.1, 1.0], plot=True, show=False)
path = trainer.plot_probability_shifts(decoder_results=decoder, target_class="M", class_ids=["M", "F"], show=False)
told = {"written": [os.path.isfile(place) for place in [path, *decoder["plot_paths"]]]}
""", alike=False),
    "a policy of one's own": Script(TRAINED + """
class Gentlest:
    def select(self, metric, candidates, ctx):
        return min(candidates, key=lambda candidate: abs(candidate.id["learning_rate"]), default=None)

result = trainer.evaluate_decoder(lrs=[0.1, 1.0], selector=Gentlest(), target_class="F")
metric = trainer.evaluate_decoder(lrs=[0.1, 1.0], summary_metrics=["F", "M_weaken"])
told = {"rate": result["F"]["learning_rate"], "metrics": sorted(name for name in metric if name != "grid")}
"""),
}  # fmt: skip
"""By what they do. Where training moves numbers in the last digits only, they are compared to 1e-3."""


def run_script(name: str, package: str, found: Mapping[str, Any]) -> Any:
    """What the script tells, run with that package and the values that it finds."""
    values = dict(found)
    exec(compile(SCRIPTS[name].code.replace("PACKAGE", package), f"<{name}>", "exec"), values)
    return values["told"]
