// Classify raw RGB pixels with a file of `mindres export --end_to_end`: no preprocessing here.
//
//     npm install --ignore-scripts onnxruntime-node    (its script would fetch CUDA libraries)
//     node serve_onnx.mjs pets.onnx photo.ppm another.ppm
//
// PPM, which any program writes (convert photo.jpg photo.ppm), needs no decoder: "P6 W H 255".
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const here = createRequire(process.cwd() + "/");  // node_modules of the folder one stands in
const ort = here("onnxruntime-node");
const [network, ...files] = process.argv.slice(2);
const session = await ort.InferenceSession.create(network);

function read(file) {
  const bytes = readFileSync(file);
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64));
  if (!header) throw new Error(`${file} is no binary PPM of 8 bits`);
  const [width, height] = header.slice(1).map(Number);
  return new ort.Tensor("uint8", bytes.subarray(header[0].length), [height, width, 3]);
}

for (const file of files) {
  const { probabilities } = await session.run({ image: read(file) });
  console.log(JSON.stringify({ file, probabilities: Array.from(probabilities.data) }));
}
