"""A workspace's documents as a folder of static files: searched and answered inside the page.

    DIR/
      index.html  app.js  …       the page; `js/` holds the port of search and evidence
      vendor/                     ONNX Runtime (and wllama), from npm by pinned integrity
      data/                        runtime, models with shared weights, index; named by content
      manifest.json               what is here, with sizes and SHA-256
      sw.js                       keeps it all for offline use

`write.export` makes it, `preview.serve` serves it.
"""
