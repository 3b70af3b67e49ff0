"""The runtimes behind the model Protocols: weights, embedding, reranking, generation."""
