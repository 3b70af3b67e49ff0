"""Models that leave the workspace: for phones, other servers and other programs.

    onnx_parts   embedder, reader, router as ONNX with all that a device needs beside them
    genai        the generator, adapter merged, for onnxruntime-genai
    formats      the tuned model as GGUF, Ollama folder, safetensors, PEFT
    served       both of the above against the workspace: tokens, distributions, answers
    folder       one export of ONNX parts, whole or not at all
    browser      chosen documents as a web page that searches and answers by itself
    check        the reference for a device; ragtune compares with it, and every export carries it

Nothing is left behind by an export that does not load or does not do what the workspace does.
"""
