"""Tiny networks with weights from chance, or set by hand where a test must know what they say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from PIL import Image
from sklearn.linear_model import LogisticRegression
from tokenizers.pre_tokenizers import ByteLevel

from tests.predict.hub.ground import painted

SIDE = 64
MEAN = {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def _labels(*names: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


def _swin() -> Any:
    return hf.SwinConfig(
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        image_size=SIDE,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def _saved(folder: Path, network: Any, processor: Any) -> None:
    network.save_pretrained(folder)
    processor.save_pretrained(folder)


def pixels(folder: Path) -> None:
    """A SegFormer whose last layer was fitted to tell ground, house and track."""
    torch.manual_seed(0)
    config = hf.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[16, 32],
        patch_sizes=[3, 3],
        strides=[2, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=64,
        **_labels("ground", "House", "track"),
    )
    network = hf.SegformerForSemanticSegmentation(config).eval()
    processor = hf.SegformerImageProcessorPil(size={"height": SIDE * 2, "width": SIDE * 2}, **MEAN)
    examples = [painted(seed, SIDE * 2) for seed in range(8)]
    seen: list[torch.Tensor] = []
    last = network.decode_head.classifier
    hook = last.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    with torch.no_grad():
        network(**processor(images=[Image.fromarray(image) for image, _ in examples], return_tensors="pt"))
        hook.remove()
        found = seen[0].permute(0, 2, 3, 1)
        step = SIDE * 2 // found.shape[1]
        taught = np.stack([labels[step // 2 :: step, step // 2 :: step] for _, labels in examples])
        fitted = LogisticRegression(C=100, max_iter=500).fit(found.reshape(-1, found.shape[3]).numpy(), taught.ravel())
        last.weight.copy_(torch.tensor(fitted.coef_, dtype=torch.float32)[..., None, None])
        last.bias.copy_(torch.tensor(fitted.intercept_, dtype=torch.float32))
    _saved(folder, network, processor)


def masks(folder: Path) -> None:
    """A Mask2Former with weights from chance."""
    torch.manual_seed(0)
    config = hf.Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=5,
        **_labels("house", "track"),
    )
    processor = hf.Mask2FormerImageProcessorPil(size={"height": SIDE, "width": SIDE}, **MEAN)
    _saved(folder, hf.Mask2FormerForUniversalSegmentation(config), processor)


def told(folder: Path) -> None:
    """A OneFormer with weights from chance, and a tokenizer of single letters."""
    torch.manual_seed(0)
    config = hf.OneFormerConfig(
        backbone_config=_swin(),
        hidden_dim=32,
        mask_dim=32,
        conv_dim=32,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=5,
        text_encoder_width=32,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=600,
        text_encoder_n_ctx=2,
        **_labels("house", "track"),
    )
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = hf.CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    folder.mkdir()
    (folder / "things.json").write_text('{"0": {"isthing": 1, "name": "house"}, "1": {"isthing": 1, "name": "track"}}')
    images = hf.OneFormerImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, class_info_file="things.json", repo_path=str(folder), num_text=2, **MEAN
    )
    _saved(folder, hf.OneFormerForUniversalSegmentation(config), hf.OneFormerProcessor(images, tokenizer))


def boxes(folder: Path) -> None:
    """A DETR that sees one house in the middle of whatever it is shown, half as wide and a quarter as high."""
    torch.manual_seed(0)
    config = hf.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=hf.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
        ),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=4,
        **_labels("house", "well"),
    )
    network = hf.DetrForObjectDetection(config)
    with torch.no_grad():
        for layer, bias in (
            (network.class_labels_classifier, torch.tensor([4.0, 0.0, 0.0])),
            (network.bbox_predictor.layers[-1], torch.logit(torch.tensor([0.5, 0.5, 0.5, 0.25]))),
        ):
            layer.weight.zero_()
            layer.bias.copy_(bias)
    _saved(folder, network, hf.DetrImageProcessorPil(size={"shortest_edge": SIDE, "longest_edge": SIDE}, **MEAN))


def prompted(folder: Path) -> None:
    """A SAM with weights from chance."""
    torch.manual_seed(0)
    config = hf.SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [0],
            "mlp_dim": 32,
            "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_depth": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    square, small = {"height": SIDE, "width": SIDE}, {"height": 16, "width": 16}
    images = hf.SamImageProcessorPil(
        size={"longest_edge": SIDE}, pad_size=square, mask_size={"longest_edge": 16}, mask_pad_size=small
    )
    _saved(folder, hf.SamModel(config), hf.SamProcessor(images))


def clip(folder: Path) -> None:
    """A CLIP with weights from chance; its vectors have 12 numbers."""
    torch.manual_seed(0)
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = hf.CLIPConfig(
        text_config={**layers, "vocab_size": 99},
        vision_config={**layers, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    processor = hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    _saved(folder, hf.CLIPModel(config), processor)


def dino(folder: Path) -> None:
    """A DINOv2 with weights from chance; its vectors have 16 numbers."""
    torch.manual_seed(0)
    config = hf.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14, mlp_ratio=2
    )
    processor = hf.BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    _saved(folder, hf.Dinov2Model(config), processor)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "pixels": pixels,
    "masks": masks,
    "told": told,
    "boxes": boxes,
    "prompted": prompted,
    "clip": clip,
    "dino": dino,
}
