// Runs exported models: run_onnx.js FOLDER...
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");

async function run(folder) {
  const session = await ort.InferenceSession.create(path.join(folder, "model.onnx"), { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const { dtype, shape } = JSON.parse(fs.readFileSync(path.join(folder, "case.json")));
  const raw = fs.readFileSync(path.join(folder, "input.bin"));
  const bytes = raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
  const data = dtype === "int64" ? new BigInt64Array(bytes) : new Float32Array(bytes);
  const each = data.length / shape[0];
  const feed = (rows) => ({ [session.inputNames[0]]: new ort.Tensor(dtype, data.slice(0, rows * each), [rows, ...shape.slice(1)]) });
  const all = await session.run(feed(shape[0]));
  const one = await session.run(feed(1));
  for (const name of session.outputNames) {
    const y = all[name];
    fs.writeFileSync(path.join(folder, name + ".bin"), Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength));
    fs.writeFileSync(path.join(folder, name + ".json"), JSON.stringify(y.dims));
    one[name].data.forEach((v, i) => {
      if (!(Math.abs(v - y.data[i]) <= 1e-5)) throw new Error(`${name}: a row alone differs: ${v}, ${y.data[i]}`);
    });
  }
}

(async () => {
  for (const folder of process.argv.slice(2)) {
    try {
      await run(folder);
    } catch (e) {
      throw new Error(`${path.basename(folder)}: ${e.message}`);
    }
  }
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
