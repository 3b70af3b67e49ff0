"""The systems that are compared, each through its own public API at its usual local set-up.

A system runs in a process of its own. `index` is the timed work: embed and store so that another
process can open it. `build` stores given vectors instead (for 100,000 passages, where embedding
would take some of them an hour); what it leaves is what `index` would leave. Both are given texts
that are passages already, so nobody's splitter is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks import peers_ragtune

from ragtune.models import weights

PORTION = 5000  # Chroma takes at most 5,461 documents a call


class System(Protocol):
    """One competitor; `folder` is where it keeps its data."""

    def load(self) -> None:
        """Everything that is not the work itself: imports and models, one text embedded."""

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """Embeds and stores `texts`; returns once they are on disk."""

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """Stores `texts` with the given unit vectors."""

    def open(self, folder: Path) -> None:
        """Opens what `index` or `build` left."""

    def search(self, question: str) -> Any:
        """The ten best passages with their texts; this call is what is timed."""

    def ids(self, found: Any) -> list[int]:
        """Positions in the given texts, of a result of `search`."""

    def vector(self, question: str) -> Sequence[float]:
        """The question's vector as `search` uses it."""


def sentence_transformer(work: Path) -> str:
    """A local sentence-transformers folder around the weights that ragtune has in its cache."""
    folder = work / "all-MiniLM-L6-v2"
    source = weights.obtain(weights.MINILM.name)
    for name, content in _MINILM.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), "utf-8")
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).exists():
            (folder / name).symlink_to(source / name)
    return str(folder)


# As published with the model, less what nothing reads.
_MINILM: dict[str, Any] = {
    "config.json": {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 384,
        "initializer_range": 0.02,
        "intermediate_size": 1536,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": 12,
        "num_hidden_layers": 6,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
        {
            "idx": 2,
            "name": "2",
            "path": "2_Normalize",
            "type": "sentence_transformers.models.Normalize",
        },
    ],
    "1_Pooling/config.json": {
        "word_embedding_dimension": 384,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    },
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    "tokenizer_config.json": {
        "do_lower_case": True,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        "model_max_length": 512,
    },
}


class LlamaIndex:
    """VectorStoreIndex with its default in-memory vector store, persisted as JSON."""

    def __init__(self, model: str) -> None:
        self._model = model

    def load(self) -> None:
        """The model at its default batch size of 10."""
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        self._embed = HuggingFaceEmbedding(model_name=self._model, device="cpu")
        self._embed.get_text_embedding("warm")

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """Documents through the default SentenceSplitter, which leaves each as one node."""
        from llama_index.core import Document, VectorStoreIndex
        from llama_index.core.node_parser import SentenceSplitter

        index = VectorStoreIndex.from_documents(
            [Document(text=text, id_=str(n)) for n, text in enumerate(texts)],
            embed_model=self._embed,
            transformations=[SentenceSplitter()],
        )
        index.storage_context.persist(str(folder))

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """Nodes that carry their embedding."""
        from llama_index.core import VectorStoreIndex
        from llama_index.core.schema import TextNode

        nodes = [
            TextNode(text=text, id_=str(n), embedding=vector.tolist())
            for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ]
        index = VectorStoreIndex(nodes, embed_model=self._embed)
        index.storage_context.persist(str(folder))

    def open(self, folder: Path) -> None:
        """Reads the JSON files."""
        from llama_index.core import StorageContext, load_index_from_storage

        context = StorageContext.from_defaults(persist_dir=str(folder))
        index = load_index_from_storage(context, embed_model=self._embed)
        self._retriever = index.as_retriever(similarity_top_k=10)

    def search(self, question: str) -> Any:
        """Nodes with scores."""
        return self._retriever.retrieve(question)

    def ids(self, found: Any) -> list[int]:
        """A node's id is its number."""
        return [int(hit.node.node_id) for hit in found]

    def vector(self, question: str) -> Sequence[float]:
        """The query embedding."""
        vector: Sequence[float] = self._embed.get_query_embedding(question)
        return vector


class Haystack:
    """InMemoryDocumentStore, saved to disk, with the SentenceTransformers embedders."""

    def __init__(self, model: str) -> None:
        self._model = model

    def load(self) -> None:
        """Both embedders share one loaded model inside Haystack."""
        from haystack.utils import ComponentDevice
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
            SentenceTransformersTextEmbedder,
        )

        cpu = ComponentDevice.from_str("cpu")
        self._documents = SentenceTransformersDocumentEmbedder(
            model=self._model, device=cpu, progress_bar=False
        )
        self._query = SentenceTransformersTextEmbedder(
            model=self._model, device=cpu, progress_bar=False
        )
        self._documents.warm_up()
        self._query.warm_up()
        self._query.run("warm")

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """Embedder, store, save_to_disk."""
        from haystack import Document

        documents = [Document(id=str(n), content=text) for n, text in enumerate(texts)]
        self._store(self._documents.run(documents)["documents"], folder)

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """Documents that carry their embedding."""
        from haystack import Document

        self._store(
            [
                Document(id=str(n), content=text, embedding=vector.tolist())
                for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
            ],
            folder,
        )

    @staticmethod
    def _store(documents: list[Any], folder: Path) -> None:
        from haystack.document_stores.in_memory import InMemoryDocumentStore

        store = InMemoryDocumentStore()  # dot product, which is the cosine of unit vectors
        store.write_documents(documents)
        folder.mkdir(parents=True, exist_ok=True)
        store.save_to_disk(str(folder / "store.json"))

    def open(self, folder: Path) -> None:
        """Reads the JSON file."""
        from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore

        store = InMemoryDocumentStore.load_from_disk(str(folder / "store.json"))
        self._retriever = InMemoryEmbeddingRetriever(store, top_k=10)

    def search(self, question: str) -> Any:
        """Embedder, then retriever: what the two do in a pipeline, less the pipeline."""
        embedding = self._query.run(question)["embedding"]
        return self._retriever.run(embedding)["documents"]

    def ids(self, found: Any) -> list[int]:
        """A document's id is its number."""
        return [int(document.id) for document in found]

    def vector(self, question: str) -> Sequence[float]:
        """The text embedder's vector."""
        vector: Sequence[float] = self._query.run(question)["embedding"]
        return vector


class Txtai:
    """Embeddings with stored content; its default index: Faiss, flat to 5,000 rows, then IVF."""

    def __init__(self, model: str, hybrid: bool = False) -> None:
        self._model = model
        self._hybrid = hybrid

    def load(self) -> None:
        """A new instance with the model loaded."""
        self._embeddings = self._make(path=self._model)
        self._embeddings.batchtransform(["warm"])

    def _make(self, **settings: Any) -> Any:
        from txtai import Embeddings

        return Embeddings(content=True, hybrid=self._hybrid, gpu=False, **settings)

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """index, save."""
        self._embeddings.index(enumerate(texts))
        self._embeddings.save(str(folder))

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """txtai takes vectors through a function from texts to vectors."""
        places = {text: n for n, text in enumerate(texts)}

        def transform(some: Iterable[str]) -> Any:
            return vectors[[places[text] for text in some]]

        embeddings = self._make(transform=transform)
        embeddings.index(enumerate(texts))
        embeddings.config.pop("transform")  # a function cannot be saved; `open` names the model
        embeddings.save(str(folder))

    def open(self, folder: Path) -> None:
        """Load, with the model put in place of the vectors' function."""
        from txtai import Embeddings

        self._embeddings = Embeddings()
        override = {"path": self._model, "method": "transformers", "gpu": False}
        self._embeddings.load(str(folder), config=override)
        self._embeddings.batchtransform(["warm"])

    def search(self, question: str) -> Any:
        """Dicts with id, text, score."""
        return self._embeddings.search(question, 10)

    def ids(self, found: Any) -> list[int]:
        """A row's id is its number."""
        return [int(row["id"]) for row in found]

    def vector(self, question: str) -> Sequence[float]:
        """The vector of a query."""
        vector: Sequence[float] = self._embeddings.batchtransform([question], "query")[0].tolist()
        return vector


class Chroma:
    """PersistentClient with its sentence-transformers function and its default HNSW index."""

    def __init__(self, model: str) -> None:
        self._model = model

    def load(self) -> None:
        """The embedding function."""
        from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

        self._function = SentenceTransformerEmbeddingFunction(self._model, device="cpu")
        self._function(["warm"])

    def _collection(self, folder: Path) -> Any:
        import chromadb

        client = chromadb.PersistentClient(
            str(folder), settings=chromadb.Settings(anonymized_telemetry=False)
        )
        return client.get_or_create_collection("passages", embedding_function=self._function)

    def index(self, texts: Sequence[str], folder: Path) -> None:
        """Add; every call is durable."""
        collection = self._collection(folder)
        for start in range(0, len(texts), PORTION):
            part = list(texts[start : start + PORTION])
            ids = [str(n) for n in range(start, start + len(part))]
            collection.add(ids=ids, documents=part)

    def build(self, texts: Sequence[str], vectors: Any, folder: Path) -> None:
        """Add with embeddings."""
        collection = self._collection(folder)
        for start in range(0, len(texts), PORTION):
            part = list(texts[start : start + PORTION])
            ids = [str(n) for n in range(start, start + len(part))]
            collection.add(ids=ids, documents=part, embeddings=vectors[start : start + PORTION])

    def open(self, folder: Path) -> None:
        """The index itself is read at the first query."""
        self._stored = self._collection(folder)

    def search(self, question: str) -> Any:
        """Ids, documents, metadata, distances."""
        return self._stored.query(query_texts=[question], n_results=10)

    def ids(self, found: Any) -> list[int]:
        """An entry's id is its number."""
        return [int(name) for name in found["ids"][0]]

    def vector(self, question: str) -> Sequence[float]:
        """The embedding function's vector."""
        vector: Sequence[float] = self._function([question])[0].tolist()
        return vector


OURS: dict[str, Any] = {
    "ragtune": peers_ragtune.Ragtune,
    "ragtune-fresh": peers_ragtune.RagtuneFresh,
    "ragtune-dense": peers_ragtune.RagtuneDense,
    "ragtune-add": peers_ragtune.RagtuneFolder,
}
PEERS: dict[str, Any] = {"llamaindex": LlamaIndex, "haystack": Haystack, "chroma": Chroma}


def make(name: str, work: Path) -> System:
    """The system called `name`, not loaded yet."""
    if name in OURS:
        system: System = OURS[name]()
        return system
    model = sentence_transformer(work)
    if name.startswith("txtai"):
        return Txtai(model, hybrid=name == "txtai-hybrid")
    peer: System = PEERS[name](model)
    return peer
