"""Other people's models; each module needs an optional dependency and is imported at its first use."""

# What a Hugging Face model is made of, as patterns in its folder.
HUGGING_FACE_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
)
